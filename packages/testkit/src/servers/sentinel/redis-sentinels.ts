import { until } from '../../until.ts'
import { redisCommand } from '../redis-command.ts'
import { type RedisFleetOptions, type RedisNode, startFleet } from '../redis-fleet.ts'
import { launchSentinel, type Sentinel } from './sentinel.ts'

/** Options of `startRedisSentinels`. */
export interface RedisSentinelsOptions extends RedisFleetOptions {
  /** Sentinels; 3 by default, and more than half have to agree on a failover. */
  readonly sentinels?: number
  /** Servers that follow the master; 1 by default. */
  readonly replicas?: number
  /** After how many milliseconds of silence the master counts as down; 1000 by default. */
  readonly downAfterMs?: number
}

/** A master, its replicas and the sentinels that watch them. */
export interface RedisSentinels extends AsyncDisposable {
  readonly version: string
  /** By which clients ask for the master. */
  readonly name: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** The servers that hold data; the first one started as the master. */
  readonly nodes: readonly RedisNode[]
  /** The master, as soon as all sentinels agree on it and the other live nodes follow it. @throws WAIT_TIMEOUT after 30 s */
  master(): Promise<RedisNode>
  /** Has the sentinels move the master, and resolves with the new one. @throws WAIT_TIMEOUT after 30 s */
  failover(): Promise<RedisNode>
  /** Ends sentinels and nodes. Idempotent. */
  stop(): Promise<void>
}

const NAME = 'strata'
const DEADLINE_MS = 30_000

/**
 * Starts a master with replicas and sentinels on 127.0.0.1. They end with this process, as `startRedis`'s do.
 *
 * Not guaranteed: the version, unless a `release` is named. Containers and URLs are not used.
 * @throws as `startRedis`; WAIT_TIMEOUT when they have not found each other within 30 s.
 */
export async function startRedisSentinels(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
  const { sentinels: count = 3, replicas = 1, downAfterMs = 1000, redisArgs = [] } = options
  const args = ['--repl-diskless-sync-delay', '0', ...redisArgs]
  const fleet = await startFleet({ ...options, redisArgs: args }, 'Redis with sentinels', 1)
  const sentinels: Sentinel[] = []
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= Promise.all([...sentinels.map(sentinel => sentinel.stop()), fleet.stop()]).then(() => {})
    return stopped
  }
  const group = { sentinels, nodes: fleet.nodes }
  try {
    const [{ host, port } = { host: '', port: 0 }] = fleet.nodes
    for (let made = 0; made < replicas; made++) await fleet.add(['--replicaof', host, String(port)])
    const watched = { name: NAME, port, quorum: Math.floor(count / 2) + 1, downAfterMs }
    for (let made = 0; made < count; made++) sentinels.push(await launchSentinel(fleet.program, watched))
    await agreedMaster(group)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    version: fleet.program.version,
    name: NAME,
    sentinels: sentinels.map(({ host, port }) => ({ host, port })),
    nodes: fleet.nodes,
    master: () => agreedMaster(group),
    failover: () => failover(group),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

interface Group {
  readonly sentinels: readonly Sentinel[]
  readonly nodes: readonly RedisNode[]
}

async function failover(group: Group): Promise<RedisNode> {
  const before = await agreedMaster(group)
  const [sentinel] = group.sentinels
  if (sentinel !== undefined) await redisCommand(sentinel.url, 'SENTINEL', 'FAILOVER', NAME)
  return await agreedMaster(group, before)
}

async function agreedMaster(group: Group, other?: RedisNode): Promise<RedisNode> {
  const look = async (): Promise<RedisNode | undefined> => {
    const master = await lookForMaster(group)
    return master === other ? undefined : master
  }
  const found = await until(look, { deadlineMs: DEADLINE_MS, message: 'the sentinels to agree on a master' })
  if (found === undefined) throw new Error('until gives what is there')
  return found
}

/** The master if everybody alive agrees on it, and it has a live replica in step if any other node is alive. */
async function lookForMaster({ sentinels, nodes }: Group): Promise<RedisNode | undefined> {
  const told = await Promise.all(sentinels.map(({ url }) => tellMaster(url, sentinels.length - 1)))
  const master = nodes.find(({ port }) => told.every(each => each === port))
  if (master === undefined) return undefined
  const roles = await Promise.all(nodes.map(roleOf))
  const isFine = roles.every((role, index) => {
    if (role === undefined) return nodes[index] !== master
    return nodes[index] === master ? role.role === 'master' : role.follows === master.port && role.state === 'connected'
  })
  return isFine ? master : undefined
}

/** The port of the master, once that sentinel knows all others and can move to a replica. */
async function tellMaster(url: string, others: number): Promise<number | undefined> {
  const facts = pairs(await redisCommand(url, 'SENTINEL', 'MASTER', NAME))
  if (Number(facts.get('num-other-sentinels')) !== others || Number(facts.get('num-slaves')) === 0) return undefined
  return Number(facts.get('port'))
}

interface Role {
  readonly role: string
  readonly follows: number
  readonly state: string
}

/** Undefined for a node that is down. */
async function roleOf({ url }: RedisNode): Promise<Role | undefined> {
  try {
    const [role, , follows, state] = (await redisCommand(url, 'ROLE')) as [string, unknown, unknown, unknown]
    return { role, follows: Number(follows), state: String(state) }
  } catch {
    return undefined
  }
}

function pairs(list: unknown): Map<string, string> {
  const flat = Array.isArray(list) ? list.map(String) : []
  const entries = flat.flatMap((name, index): [string, string][] =>
    index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [],
  )
  return new Map(entries)
}
