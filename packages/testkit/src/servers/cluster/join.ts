import { until } from '../../until.ts'
import { redisCommand } from '../redis-command.ts'
import type { RedisNode } from '../redis-fleet.ts'
import { agreedView, type ClusterView, readView, SLOTS } from './cluster-view.ts'

const DEADLINE_MS = 30_000

/**
 * Makes one cluster of servers that know nothing of each other: the first `masters` of them share the slots, the others
 * follow them in turn. What `redis-cli --cluster create` does, without that program.
 * @throws WAIT_TIMEOUT after 30 s for each of its steps
 */
export async function join(nodes: readonly RedisNode[], masters: number): Promise<ClusterView> {
  const urls = nodes.map(({ url }) => url)
  const [first, ...others] = nodes
  if (first === undefined) throw new Error('A cluster has nodes')
  await Promise.all(nodes.slice(0, masters).map((node, index) => giveSlots(node, { index, masters })))
  for (const { host, port } of others) await redisCommand(first.url, 'CLUSTER', 'MEET', host, String(port))
  await until(async () => (await Promise.all(urls.map(readView))).every(view => view.length === nodes.length), {
    deadlineMs: DEADLINE_MS,
    message: 'the nodes of the cluster to know each other',
  })
  const ids = await Promise.all(urls.map(url => redisCommand(url, 'CLUSTER', 'MYID')))
  const following = nodes.slice(masters).map(async ({ url }, index) => {
    await redisCommand(url, 'CLUSTER', 'REPLICATE', String(ids[index % masters]))
  })
  await Promise.all(following)
  const isWhole = async (): Promise<ClusterView | undefined> => {
    const view = await agreedView(urls)
    const followers = view?.filter(({ masterId }) => masterId !== undefined).length
    const isReady = async (url: string) => (await isUp(url)) && (await countServing(url)) === nodes.length
    return followers === nodes.length - masters && (await Promise.all(urls.map(isReady))).every(Boolean)
      ? view
      : undefined
  }
  return (await until(isWhole, { deadlineMs: DEADLINE_MS, message: 'the cluster to be whole' })) ?? []
}

/** ADDSLOTS, not ADDSLOTSRANGE, which Redis 6.2 does not have; an epoch each, so that no two masters have to settle one. */
async function giveSlots({ url }: RedisNode, { index, masters }: { index: number; masters: number }): Promise<void> {
  const from = Math.floor((SLOTS * index) / masters)
  const to = Math.floor((SLOTS * (index + 1)) / masters)
  const slots = Array.from({ length: to - from }, (_, offset) => String(from + offset))
  await redisCommand(url, 'CLUSTER', 'ADDSLOTS', ...slots)
  await redisCommand(url, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
}

const isUp = async (url: string): Promise<boolean> =>
  String(await redisCommand(url, 'CLUSTER', 'INFO')).includes('cluster_state:ok')

/** What clients are told: a replica is left out until its master knows that it has copied something. */
async function countServing(url: string): Promise<number> {
  const ranges = (await redisCommand(url, 'CLUSTER', 'SLOTS')) as [number, number, ...[string, number][]][]
  return new Set(ranges.flatMap(([, , ...serving]) => serving.map(([, port]) => port))).size
}
