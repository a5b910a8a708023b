/**
 * The Redis keys that are ours. The `~` keeps them apart from BullMQ's (`prefix:queue:…`): no queue may be named so.
 * For Redis Cluster give a prefix with a hash tag, `{strata}`: then all of them share one slot.
 */
export interface Keys {
  readonly prefix: string
  /** Set of the call lanes that were ever used, and the channel that announces a new one. */
  readonly lanes: string
  /** Hash of live processes: their connections and their lanes. */
  readonly processes: string
  /** Stream of the calls whose jobs run on although their callers gave them up. */
  readonly cancelled: string
  replies(process: string): string
  /** Hash of who waits for the job of a chosen id. */
  claim(queue: string, id: string): string
  /** A key of a BullMQ queue. */
  bullmq(lane: string, part: string): string
}

export const prefixDefault = 'strata'

export function createKeys(prefix: string): Keys {
  return {
    prefix,
    lanes: `${prefix}:~lanes`,
    processes: `${prefix}:~processes`,
    cancelled: `${prefix}:~cancelled`,
    replies: process => `${prefix}:~replies:${process}`,
    claim: (queue, id) => `${prefix}:~claim:${queue}:${id}`,
    bullmq: (lane, part) => `${prefix}:${lane}:${part}`,
  }
}
