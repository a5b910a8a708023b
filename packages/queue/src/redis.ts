import { dbContextError } from '@strata/db-context'
import { Cluster, type ClusterNode, type ClusterOptions, type Redis, type RedisOptions } from 'ioredis'
import { late, within } from './bound.ts'
import { Connection } from './connection.ts'
import { prefixDefault } from './keys.ts'
import { outside } from './outside.ts'
import { patient, patientCluster } from './redis-options.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'

/**
 * Where Redis is: a URL (`rediss:` for TLS, user and password in it), or ioredis's options (Sentinel and TLS by theirs, with `url`
 * beside them, if you like), or the nodes of a Redis Cluster; and the prefix of all keys.
 */
export type RedisTarget =
  | string
  | (RedisOptions & { readonly url?: string; readonly prefix?: string })
  | RedisClusterTarget

export interface RedisClusterTarget {
  /** Some nodes of the cluster, from which the others are found. */
  readonly cluster: readonly ClusterNode[]
  /** ioredis's options of a cluster; those of each connection in `redisOptions`. */
  readonly clusterOptions?: ClusterOptions
  /** With a hash tag, as `{strata}`: scripts use keys of several lanes, and a script's keys are in one slot. */
  readonly prefix?: string
}

export interface RedisSettings {
  readonly url: string | undefined
  readonly cluster?: { readonly nodes: readonly ClusterNode[]; readonly options: ClusterOptions }
  readonly options: RedisOptions
  readonly prefix: string
}

/** How long a start waits for Redis. */
const reachMs = 4500

/** A server that blocks for longer than this, in a script or a fork, is met by one needless reconnect. */
const answerMsMax = 3000

/** @throws CONFIG for ioredis's own key prefix, which BullMQ cannot work with, and for a cluster without a hash tag */
export function readRedisTarget(target: RedisTarget, prefix: string | undefined): RedisSettings {
  if (typeof target === 'string') return { url: target, options: {}, prefix: prefix ?? prefixDefault }
  if ('cluster' in target) return readClusterTarget(target, prefix)
  const { url, prefix: own, ...options } = target
  if (options.keyPrefix) {
    throw dbContextError('CONFIG', `Option redis.keyPrefix is ${options.keyPrefix}, expected none: give prefix instead`)
  }
  return { url, options, prefix: prefix ?? own ?? prefixDefault }
}

/**
 * Makes a connection that opens on first use. It keeps trying while it is away, within a second of Redis's return:
 * waits are bounded by whoever waits, because a command given up inside the client may have been applied.
 */
export function openRedis(settings: RedisSettings, role: string, report: Report): Redis {
  const { url, cluster, prefix } = settings
  const options = { connectTimeout: reachMs, ...settings.options, connectionName: `${prefix}:${role}` }
  return outside(() => {
    const client = cluster ? openCluster(cluster, options) : new Connection(url, patient(options))
    client.on('error', error => report(error, `Redis connection ${role}`))
    return client
  })
}

/** Connects. @throws REDIS_UNREACHABLE within 5 s */
export async function reachRedis(client: Redis): Promise<void> {
  let lastError: unknown
  const remember = (error: unknown) => {
    lastError = error
  }
  client.on('error', remember)
  try {
    const answer = await within(
      reachMs,
      outside(() => client.ping()),
    )
    if (answer !== late) return
  } catch (error) {
    lastError = error
  } finally {
    client.off('error', remember)
  }
  throw unreachable(client, { reachMs, cause: lastError })
}

/** Bounds what a start does after Redis was reached: it may have gone since. @throws REDIS_UNREACHABLE, and what the work throws */
export async function inReach<T>(client: Redis, work: Promise<T>): Promise<T> {
  const done = await within(answerMsMax, work)
  if (done === late) throw unreachable(client, { reachMs: answerMsMax, cause: undefined })
  return done
}

function unreachable(client: Redis, { reachMs, cause }: { reachMs: number; cause: unknown }) {
  const address = addressOf(client)
  const message = `Redis at ${address} could not be used within ${reachMs} ms`
  return queueError('REDIS_UNREACHABLE', message, { details: { address, reachMs }, cause })
}

export const addressOf = (client: Redis): string => {
  if (client.isCluster) return ['the cluster', ...nodesOf(client).map(addressOf)].join(' ')
  const { path, host, port, sentinels, name } = client.options
  if (sentinels) return `master ${name} of ${sentinels.map(each => `${each.host}:${each.port}`).join(' ')}`
  return path ?? `${host}:${port}`
}

/** The servers that a client knows of: its one, or every node of a cluster, replicas too. */
export const nodesOf = (client: Redis): readonly Redis[] => asCluster(client)?.nodes('all') ?? [client]

/**
 * A key in the slot of all keys of this client's prefix: a cluster answers what is asked with it by the node that has them, and
 * what is asked without a key by any.
 */
export const slotKeyOf = (client: Redis): string =>
  (asCluster(client)?.options.redisOptions ?? client.options).connectionName ?? ''

/**
 * Looks whether Redis still answers. A connection that is open on this side only would keep every command until TCP gives up,
 * a quarter of an hour later: it is dropped, and what was sent on it is sent again on the next, or to the node that took over.
 */
export async function probeRedis(client: Redis): Promise<void> {
  await Promise.all(nodesOf(client).map(node => probeNode(node, { again: !client.isCluster })))
}

/** A cluster makes a connection to a node anew by itself, if it still needs one. */
async function probeNode(node: Redis, { again }: { again: boolean }): Promise<void> {
  if (node.status !== 'ready') return
  const answer = await within(answerMsMax, node.ping())
  if (answer === late && node.status === 'ready') node.disconnect(again)
}

/** Closes politely, and at once when Redis does not answer. */
export async function closeRedis(client: Redis): Promise<void> {
  if (client.status === 'wait' || client.status === 'end') return client.disconnect()
  if (client.status !== 'ready') return client.disconnect()
  const answer = await within(500, client.quit()).catch(() => late)
  if (answer === late) client.disconnect()
}

function readClusterTarget(target: RedisClusterTarget, given: string | undefined): RedisSettings {
  const prefix = given ?? target.prefix ?? `{${prefixDefault}}`
  if (!/^\{[^{}]+\}/.test(prefix)) {
    throw dbContextError(
      'CONFIG',
      `Option prefix is ${prefix}, expected a hash tag at its beginning for a cluster: {${prefix}}`,
      {
        details: { option: 'prefix', got: prefix },
      },
    )
  }
  return {
    url: undefined,
    options: {},
    prefix,
    cluster: { nodes: target.cluster, options: target.clusterOptions ?? {} },
  }
}

/** A cluster's client takes the same commands; what differs is asked by `isCluster`. */
function openCluster({ nodes, options }: NonNullable<RedisSettings['cluster']>, redisOptions: RedisOptions): Redis {
  return new Cluster([...nodes], patientCluster(options, redisOptions)) as unknown as Redis
}

const asCluster = (client: Redis): Cluster | undefined =>
  client.isCluster ? (client as unknown as Cluster) : undefined
