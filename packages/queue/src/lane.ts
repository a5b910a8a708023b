/**
 * One BullMQ queue that carries the jobs of one queue at one level. Pushes of `q` are in `q` itself, so that every tool
 * made for BullMQ works on them; awaited calls are in `q~1`, `q~2` and so on. Pushes and calls of level 1 are kept apart,
 * because a caller holds connections while it waits, and must not queue behind a backlog that nobody waits for.
 */
export interface Lane {
  /** The name of the BullMQ queue. */
  readonly name: string
  readonly queue: string
  /** `any` under `isolation: 'none'`, where one lane takes everything. */
  readonly kind: 'push' | 'call' | 'any'
  readonly level: number
}

const separator = '~'

export const pushLane = (queue: string, isolated: boolean): Lane => ({
  name: queue,
  queue,
  kind: isolated ? 'push' : 'any',
  level: 1,
})

export const callLane = (queue: string, level: number, isolated: boolean): Lane =>
  isolated ? { name: `${queue}${separator}${level}`, queue, kind: 'call', level } : pushLane(queue, isolated)

/** Reads the name of a call lane; undefined for anything else. */
export function parseCallLane(name: string): Lane | undefined {
  const at = name.lastIndexOf(separator)
  const level = Number(name.slice(at + 1))
  if (at < 1 || !Number.isInteger(level) || level < 1 || String(level) !== name.slice(at + 1)) return undefined
  return { name, queue: name.slice(0, at), kind: 'call', level }
}

/** True for a name that cannot be mistaken for a lane or break a Redis key. */
export const isQueueName = (name: string): boolean => name.length > 0 && name.length <= 200 && !/[:~]/.test(name)

/** How many fetch loops share a lane's slots: one loop fetches one job a round trip, whatever its concurrency. */
const fetchersMax = 4

/** The concurrency of each fetcher of a lane; they add up to its slots exactly. */
export function fetcherSlots(slots: number): number[] {
  const fetchers = Math.min(slots, fetchersMax)
  return Array.from({ length: fetchers }, (_, index) => Math.floor((slots + fetchers - 1 - index) / fetchers))
}

/**
 * The order in which lanes close: pushes first, then calls from shallow to deep, so that whatever a running job awaits is
 * still served. The lanes of one group close together.
 */
export function stopOrder<T extends { readonly lane: Lane }>(open: readonly T[]): T[][] {
  const groups = new Map<number, T[]>()
  for (const item of open) {
    const rank = item.lane.kind === 'call' ? item.lane.level : 0
    groups.set(rank, [...(groups.get(rank) ?? []), item])
  }
  return [...groups.entries()].sort(([a], [b]) => a - b).map(([, items]) => items)
}
