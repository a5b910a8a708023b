import { TestkitError } from '../../errors.ts'
import { until } from '../../until.ts'
import { redisCommand } from '../redis-command.ts'
import { type RedisFleetOptions, type RedisNode, startFleet } from '../redis-fleet.ts'
import { agreedView, type ClusterView } from './cluster-view.ts'
import { join } from './join.ts'

/** Options of `startRedisCluster`. */
export interface RedisClusterOptions extends RedisFleetOptions {
  /** Nodes that share the slots; 3 by default, which is the least that can agree on a failover. */
  readonly masters?: number
  /** Nodes that follow them, in turn; as many as masters by default. */
  readonly replicas?: number
  /** After how many milliseconds of silence a node counts as failed; 1000 by default. */
  readonly nodeTimeoutMs?: number
}

/** A running Redis Cluster. */
export interface RedisCluster extends AsyncDisposable {
  readonly version: string
  /** All nodes, those that started as masters first; `{ host, port }` is what clients want. */
  readonly nodes: readonly RedisNode[]
  /**
   * The master of the key's slot, as soon as all nodes that answer agree on it and their replicas are in step: after a
   * failover the new one. @throws WAIT_TIMEOUT after 20 s
   */
  masterOf(key: string): Promise<RedisNode>
  /** Has a replica of this master take over as for maintenance, nothing confirmed lost. Resolves with the new master. @throws WAIT_TIMEOUT after 20 s */
  failover(master: RedisNode): Promise<RedisNode>
  /** Ends all nodes. Idempotent. */
  stop(): Promise<void>
}

const DEADLINE_MS = 20_000

/**
 * Starts a Redis Cluster of real servers on 127.0.0.1 and joins them. They end with this process, as `startRedis`'s do.
 *
 * Not guaranteed: the version, unless a `release` is named. Containers and URLs are not used.
 * @throws as `startRedis`; WAIT_TIMEOUT when the nodes do not become one cluster within 60 s.
 */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { masters = 3, replicas = masters, nodeTimeoutMs = 1000, redisArgs = [] } = options
  const args = [...clusterArguments(nodeTimeoutMs), ...redisArgs]
  const fleet = await startFleet({ ...options, redisArgs: args }, 'Redis Cluster', masters + replicas)
  try {
    await join(fleet.nodes, masters)
  } catch (error) {
    await fleet.stop()
    throw error
  }
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= fleet.stop()
    return stopped
  }
  return {
    version: fleet.program.version,
    nodes: fleet.nodes,
    masterOf: key => masterOf(fleet.nodes, key),
    failover: master => failover(fleet.nodes, master),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const clusterArguments = (nodeTimeoutMs: number): string[] => [
  '--cluster-enabled',
  'yes',
  '--cluster-announce-ip',
  '127.0.0.1',
  '--cluster-node-timeout',
  String(nodeTimeoutMs),
  // However long it was out of step: with one replica a master, another choice there is not.
  '--cluster-replica-validity-factor',
  '0',
  // The default waits 5 s for other replicas before each first copy.
  '--repl-diskless-sync-delay',
  '0',
  // What a replica copies first, where nobody writes; the default is 10 s.
  '--repl-ping-replica-period',
  '1',
]

const settled = (nodes: readonly RedisNode[]): Promise<ClusterView | undefined> =>
  agreedView(nodes.map(({ url }) => url))

async function masterOf(nodes: readonly RedisNode[], key: string): Promise<RedisNode> {
  const find = async (): Promise<RedisNode | undefined> => {
    const view = await settled(nodes)
    const any = nodes.find(({ port }) => port === view?.find(({ slots }) => slots.length > 0)?.port)
    if (any === undefined) return undefined
    const slot = Number(await redisCommand(any.url, 'CLUSTER', 'KEYSLOT', key))
    const owner = view?.find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to))
    return nodes.find(({ port }) => port === owner?.port)
  }
  const found = await until(find, { deadlineMs: DEADLINE_MS, message: `the cluster to agree on the master of ${key}` })
  return found ?? none()
}

async function failover(nodes: readonly RedisNode[], master: RedisNode): Promise<RedisNode> {
  const view = await until(() => settled(nodes), { deadlineMs: DEADLINE_MS, message: 'the cluster to be in step' })
  const { id } = view?.find(({ port }) => port === master.port) ?? none()
  const next = view?.find(({ masterId }) => masterId === id) ?? none()
  const replica = nodes.find(({ port }) => port === next.port) ?? none()
  await redisCommand(replica.url, 'CLUSTER', 'FAILOVER')
  const hasTaken = async (): Promise<boolean> =>
    (await settled(nodes))?.some(({ port, slots }) => port === replica.port && slots.length > 0) === true
  await until(hasTaken, { deadlineMs: DEADLINE_MS, message: `the node at port ${replica.port} to take over` })
  return replica
}

function none(): never {
  throw new TestkitError('PROCESS_FAILED', 'No node of the cluster is that master, or no replica of it is alive')
}
