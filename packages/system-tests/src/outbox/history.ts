/** One push of a transaction that is committed, as its own document in that transaction says. */
export interface Kept {
  /** The transaction's id and the number of the push in it. */
  readonly _id: string
  readonly transaction: string
  readonly job: string
  readonly key?: string
  /** Its place among all pushes of its key, by a counter that the transactions raise. */
  readonly seq: number
}

/** What the queue has said of a job that was sent to it. */
export interface Sent {
  readonly event: 'added' | 'duplicated'
  readonly job: string
}

/** How a transaction ended, as far as its process lived to tell. */
export interface Told {
  readonly transaction: string
  readonly outcome: 'applied' | 'not-applied' | 'unknown'
}

/** Everything known of one round. */
export interface OutboxHistory {
  /** What is committed, in no order. */
  readonly kept: readonly Kept[]
  /** What the queue has received, in its order. */
  readonly sent: readonly Sent[]
  readonly told: readonly Told[]
  /** How often the handler ran for each push, by the push's id. */
  readonly runs: ReadonlyMap<string, number>
  /** The pushes of which an effect is there, each as often as it is. */
  readonly effects: readonly string[]
  /** Rows that are neither published nor gone once everything is quiet. */
  readonly left: number
  /** Jobs that Redis took and lost in a failover: they came, and nobody can expect more of them. */
  readonly lostByRedis?: ReadonlySet<string>
  /** As many jobs may have been sent twice as crashes explain. */
  readonly duplicatesMax: number
}

/** How many jobs came to the queue more than once, each time counted. */
export function duplicatesOf({ sent }: Pick<OutboxHistory, 'sent'>): number {
  return sent.length - new Set(sent.map(({ job }) => job)).size
}
