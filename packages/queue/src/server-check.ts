import type { Redis } from 'ioredis'
import { late, within } from './bound.ts'
import { addressOf, nodesOf } from './redis.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'

/** BullMQ's scripts and ours use commands of Redis 6.2; Valkey tells a compatible version. */
const versionMin = [6, 2] as const

const infoMsMax = 2000

/** Servers of which an assumption was told, and which. */
const told = new Set<string>()

/** What a server tells of itself, where it does. */
export interface ServerFacts {
  /** False where INFO is denied, as by the access rules of some managed services. */
  readonly tellsInfo: boolean
}

/**
 * Checks what the queue cannot work on: an eviction policy that drops jobs, a server that is too old, or a replica. Of a cluster every node that
 * can be reached is looked at, since a replica takes over with its own settings. What a server does not tell is assumed to be
 * right, and told once a process and server.
 *
 * @throws REDIS_SETTING
 */
export async function checkServer(redis: Redis, address: string, report: Report): Promise<ServerFacts> {
  if (!redis.isCluster) return await checkNode(redis, { address, isOfCluster: false, report })
  const nodes = nodesOf(redis)
  const facts = await Promise.all(
    nodes.map(node => checkNode(node, { address: addressOf(node), isOfCluster: true, report })),
  )
  return { tellsInfo: facts.length > 0 && facts.every(({ tellsInfo }) => tellsInfo) }
}

async function checkNode(
  redis: Redis,
  { address, isOfCluster, report }: { address: string; isOfCluster: boolean; report: Report },
): Promise<ServerFacts> {
  const info = await readInfo(redis)
  if (info === 'away') return { tellsInfo: true }
  const version = /^redis_version:(\d+)\.(\d+)\S*/m.exec(info ?? '')
  const policy = /^maxmemory_policy:(\S+)/m.exec(info ?? '')?.[1]
  if (version && isOlder(Number(version[1]), Number(version[2]))) {
    const got = version[0].slice('redis_version:'.length)
    throw wrong(address, { setting: 'version', got, expected: `${versionMin.join('.')} or later` })
  }
  if (policy !== undefined && policy !== 'noeviction') {
    throw wrong(address, { setting: 'maxmemory-policy', got: policy, expected: 'noeviction' })
  }
  const role = /^role:(\S+)/m.exec(info ?? '')?.[1] ?? 'master'
  if (role !== 'master' && !isOfCluster) throw wrong(address, { setting: 'role', got: role, expected: 'master' })
  if (!version || policy === undefined) {
    const assumed = `its version and eviction policy: assumed are ${versionMin.join('.')} or later and noeviction`
    tellOnce(address, { denied: 'INFO', assumed, report })
  }
  return { tellsInfo: info !== undefined }
}

/**
 * How many connections the server takes; of a cluster the node that takes the fewest, since any may become the one that has the
 * keys. Undefined where the server does not tell, which is told once a process and server.
 */
export async function readMaxClients(redis: Redis, address: string, report: Report): Promise<number | undefined> {
  const looks = await Promise.all(nodesOf(redis).map(readLimit))
  const limits = looks.filter(limit => limit !== undefined)
  if (limits.length > 0) return Math.min(...limits)
  const assumed = 'maxclients: the connection budget is not checked'
  tellOnce(address, { denied: 'CONFIG', assumed, report })
  return undefined
}

/** Where CONFIG is denied, as by managed services, INFO tells it too, from Redis 7 on. */
async function readLimit(redis: Redis): Promise<number | undefined> {
  const look = await within(infoMsMax, redis.config('GET', 'maxclients')).catch(() => late)
  const [, told] = look === late ? [] : (look as [string?, string?])
  if (told !== undefined) return Number(told)
  const info = await readInfo(redis)
  const found = /^maxclients:(\d+)/m.exec(info ?? '')?.[1]
  return found === undefined ? undefined : Number(found)
}

function tellOnce(address: string, what: { denied: string; assumed: string; report: Report }): void {
  const { denied, assumed, report } = what
  const key = `${denied} ${address}`
  if (told.has(key)) return
  told.add(key)
  report(new Error(`${denied} is denied or incomplete`), `Redis at ${address} does not tell ${assumed}`)
}

/**
 * Undefined where it is denied. A server that cannot be asked now is no server that denies: a node of a cluster may be down, and
 * any other is met by whoever uses it next.
 */
async function readInfo(redis: Redis): Promise<string | undefined | 'away'> {
  try {
    const info = await within(infoMsMax, redis.info())
    return info === late ? 'away' : info
  } catch (error) {
    return error instanceof Error && error.name === 'ReplyError' ? undefined : 'away'
  }
}

const isOlder = (major: number, minor: number) =>
  major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1])

function wrong(address: string, details: { setting: string; got: string; expected: string }) {
  const { setting, got, expected } = details
  return queueError('REDIS_SETTING', `Redis at ${address} has ${setting} ${got}, expected ${expected}`, {
    details: { address, ...details },
  })
}
