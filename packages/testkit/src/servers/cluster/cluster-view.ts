import { redisCommand } from '../redis-command.ts'

/** One line of CLUSTER NODES: a node as another one sees it. */
export interface NodeView {
  readonly id: string
  readonly port: number
  /** The id of its master; undefined for a master. */
  readonly masterId: string | undefined
  /** First and last slot of each range it serves. */
  readonly slots: readonly (readonly [number, number])[]
}

/** A cluster as all of its nodes that answer see it. */
export type ClusterView = readonly NodeView[]

export const SLOTS = 16_384

/** What one node sees. @throws when it does not answer within 2 s */
export async function readView(url: string): Promise<ClusterView> {
  const text = String(await redisCommand(url, 'CLUSTER', 'NODES'))
  return text.trim().split('\n').map(readLine)
}

/** `<id> <ip:port@bus> <flags> <master> <ping> <pong> <epoch> <link> <slot>…` */
function readLine(line: string): NodeView {
  const [id = '', address = '', , master = '-', , , , , ...ranges] = line.split(' ')
  const slots = ranges
    // A slot that is on its way is written in brackets.
    .filter(range => !range.startsWith('['))
    .map((range): [number, number] => {
      const [from = '', to = from] = range.split('-')
      return [Number(from), Number(to)]
    })
  const port = Number(/:(\d+)@/.exec(address)?.[1])
  return { id, port, masterId: master === '-' ? undefined : master, slots }
}

/**
 * The view that all nodes that answer share; undefined while they do not, a slot has no live master, or a live replica
 * is not in step with its master.
 */
export async function agreedView(urls: readonly string[]): Promise<ClusterView | undefined> {
  const looks = await Promise.allSettled(urls.map(async url => ({ url, view: await readView(url) })))
  const live = looks.flatMap(look => (look.status === 'fulfilled' ? [look.value] : []))
  const ports = new Set(live.map(({ url }) => Number(new URL(url).port)))
  const [first, ...others] = live.map(({ view }) => view)
  if (first === undefined) return undefined
  const summary = summarise(first, ports)
  if (others.some(view => summarise(view, ports) !== summary)) return undefined
  const masters = first.filter(({ slots }) => slots.length > 0)
  const served = masters.flatMap(({ slots }) => slots).reduce((sum, [from, to]) => sum + to - from + 1, 0)
  if (served < SLOTS || masters.some(({ port }) => !ports.has(port))) return undefined
  const replicas = first.filter(({ masterId, port }) => masterId !== undefined && ports.has(port))
  const inStep = await Promise.all(live.map(({ url }) => isInStep(url, replicas)))
  return inStep.every(Boolean) ? first : undefined
}

/** Who serves what and who follows whom, of the nodes that answer. */
function summarise(view: ClusterView, ports: ReadonlySet<number>): string {
  const lines = view
    .filter(({ port, slots }) => ports.has(port) || slots.length > 0)
    .map(({ port, masterId, slots }) => `${port} ${masterId ?? ''} ${slots.map(range => range.join('-')).join(',')}`)
  return lines.sort().join('\n')
}

async function isInStep(url: string, replicas: readonly NodeView[]): Promise<boolean> {
  if (!replicas.some(({ port }) => port === Number(new URL(url).port))) return true
  return String(await redisCommand(url, 'INFO', 'replication').catch(() => '')).includes('master_link_status:up')
}
