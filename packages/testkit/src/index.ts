export { TestkitError, type TestkitErrorCode } from './errors.ts'
export type { Member, RungName } from './servers/server-kind.ts'
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
