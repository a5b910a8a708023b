export { TestkitError, type TestkitErrorCode } from './errors.ts'
export { type Gate, gate } from './gate.ts'
export { type NodeProcess, type ProcessEnd, type SpawnOptions, spawnNode } from './processes.ts'
export { type CommandFault, type CommandProxy, type SeenCommand, startCommandProxy } from './proxy/commands.ts'
export { type FaultConnection, type FaultProxy, type Faults, startFaultProxy } from './proxy/faults.ts'
export { type LoadBalancedProxy, startLoadBalancedProxy } from './proxy/load-balanced.ts'
export type { HostPort } from './proxy/primary.ts'
export { startTlsProxy, type TlsProxy } from './proxy/tls.ts'
export { type Seed, type SeedSource, seeded, seedFrom } from './seed.ts'
export { type RedisCluster, type RedisClusterOptions, startRedisCluster } from './servers/cluster/redis-cluster.ts'
export type { RedisFleetOptions, RedisNode } from './servers/redis-fleet.ts'
export { type RedisRelease, redisReleases } from './servers/redis-releases.ts'
export {
  type RedisSentinels,
  type RedisSentinelsOptions,
  startRedisSentinels,
} from './servers/sentinel/redis-sentinels.ts'
export type { Member, RungName, ServerEnd } from './servers/server-kind.ts'
export {
  type MongoOptions,
  type RedisOptions,
  type ServerHandle,
  type ServerOptions,
  type Servers,
  type ServersOptions,
  startMongo,
  startRedis,
  startServers,
} from './servers/servers.ts'
export { type UntilOptions, until } from './until.ts'
