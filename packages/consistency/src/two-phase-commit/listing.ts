import type { InDoubt } from './metrics.ts'
import { recordVersion, type TransactionRecord } from './record.ts'
import { ageOf, type Engine, limitOf } from './settings.ts'
import { type TransactionState, transactionStates } from './table.ts'

export interface ListOptions {
  /** `unreadable`: those that have not ended and that this version does not touch, of another version or in no known state. */
  readonly state?: TransactionState | 'unreadable'
  /** Those that have been in their state for so long, in milliseconds of the server's clock; default 0. */
  readonly olderThanMs?: number
  /** True: only those that a person has to look at. */
  readonly stuck?: boolean
  /** Default 100, 1 to 1,000. */
  readonly limit?: number
}

/** The range is all of the index. */
const unended = { open: true, touchedAt: { $gte: new Date(0) } } as const
const unreadable = { ...unended, $or: [{ v: { $ne: recordVersion } }, { state: { $nin: transactionStates } }] } as const

/** Those longest in their state first: merged from the index of each state. */
export async function listRecords(engine: Engine, options: ListOptions): Promise<TransactionRecord[]> {
  const { state, stuck } = options
  const olderThanMs = ageOf(options)
  const age = { $lte: ['$changedAt', { $subtract: ['$$NOW', olderThanMs] }] }
  const records = await engine.store.records.aggregate([
    {
      $match: {
        ...(state === 'unreadable'
          ? unreadable
          : { state: { $in: state === undefined ? transactionStates : [state] } }),
        ...(stuck ? { open: true, stuck: { $exists: true } } : {}),
        ...(olderThanMs > 0 ? { $expr: age } : {}),
      },
    },
    { $sort: { changedAt: 1 } },
    { $limit: limitOf(options) },
  ])
  return records as unknown as TransactionRecord[]
}

/** Of one whose process was killed before it knew a time nobody knows it. */
const ageSeconds = { $divide: [{ $subtract: ['$$NOW', '$changedAt'] }, 1000] }

/** What counts are of at most: more is more than anybody waits for. */
const countMax = 100_000

export async function inDoubt({ store }: Engine): Promise<InDoubt[]> {
  const groups = await store.records.aggregate([
    { $match: unended },
    { $limit: countMax },
    {
      $group: {
        _id: '$state',
        count: { $sum: 1 },
        oldestSeconds: { $max: { $cond: [{ $gt: ['$changedAt', new Date(0)] }, ageSeconds, 0] } },
        stuck: { $sum: { $cond: [{ $ifNull: ['$stuck', false] }, 1, 0] } },
      },
    },
  ])
  return groups.map(({ _id, ...rest }) => ({ state: String(_id), ...rest }) as InDoubt)
}
