import type { Plain } from './port.ts'
import type { Entry, KeptPart, Tombstone } from './record.ts'
import type { StepRule } from './table.ts'

/** What a step's statement is made from, beside its rule. */
export interface StepAt {
  /** Of the transaction, and of this part of it. */
  readonly id: string
  readonly key: string
  readonly part: KeptPart
  /** After this, on the participant's clock, the step is not made. */
  readonly deadline: Date
  /** What the tombstone outlives. */
  readonly tombstoneUntil: Date
  /** After this, and the skew of clocks, no `apply` that was sent under any claim is written. */
  readonly applyUntil: Date
  /** Tombstones up to this have outlived every write, on the clock of any server; undefined where no server's time is known. */
  readonly pruneUntil: Date | undefined
  readonly entriesMax: number
  readonly clockSkewMs: number
}

export const entriesField = 'pendingTransactions'
export const tombstonesField = 'settledTransactions'

const never = new Date(0)

/** The one write of a step: everything that it depends on is in its filter. */
export function stepStatement(rule: StepRule, at: StepAt): { filter: Plain; update: Plain | readonly Plain[] } {
  // An update that is the participant's own cannot be put together with a pipeline, which alone prunes by the server's clock.
  const update = rule.effect === 'none' ? settlePipeline(rule, at) : operators(rule, at)
  return { filter: filterOf(rule, at), update }
}

function filterOf(rule: StepRule, { key, part, deadline, pruneUntil, entriesMax }: StepAt): Plain {
  const conditions: Plain[] = [{ [`${entriesField}.key`]: rule.needsEntry ? key : { $ne: key } }]
  if (rule.refusedByTombstone) {
    const told = { key, until: { $gt: pruneUntil ?? never } }
    conditions.push({ [tombstonesField]: { $not: { $elemMatch: told } } })
  }
  if (rule.entry === 'added') {
    for (const field of [entriesField, tombstonesField]) {
      conditions.push({ [`${field}.${entriesMax - 1}`]: { $exists: false } })
    }
  }
  if (rule.checksGuard && Object.keys(part.guard).length > 0) conditions.push(part.guard)
  if (rule.checksDeadline) conditions.push({ $expr: { $lt: ['$$NOW', deadline] } })
  // By `$eq`, because an `_id` that is an object could be an operator.
  return { _id: { $eq: part.id }, $and: conditions }
}

function operators(rule: StepRule, { id, key, part, pruneUntil, ...at }: StepAt): Plain {
  const own = part[rule.effect === 'apply' ? 'apply' : 'reverse']
  const pushed: Record<string, unknown> = {}
  const pulled: Record<string, unknown> = {}
  const entry: Entry = { key, id, delta: deltaOf(own) }
  if (rule.entry === 'added') pushed[entriesField] = entry
  if (rule.entry === 'removed') pulled[entriesField] = { key }
  if (rule.tombstone !== 'none') {
    const tombstone: Tombstone = { key, id, outcome: rule.tombstone, until: at.tombstoneUntil }
    pushed[tombstonesField] = tombstone
  } else if (pruneUntil) pulled[tombstonesField] = { until: { $lte: pruneUntil } }
  return { ...own, ...joined('$push', own, pushed), ...joined('$pull', own, pulled) }
}

const joined = (operator: string, own: KeptPart['apply'], more: Plain): Plain =>
  Object.keys(more).length > 0 ? { [operator]: { ...own[operator], ...more } } : {}

function settlePipeline(rule: StepRule, { id, key, tombstoneUntil, clockSkewMs }: StepAt): Plain[] {
  const set: Record<string, unknown> = {}
  if (rule.entry === 'removed') {
    const others = { $ne: ['$$this.key', { $literal: key }] }
    set[entriesField] = { $filter: { input: { $ifNull: [`$${entriesField}`, []] }, cond: others } }
  }
  if (rule.tombstone !== 'none') {
    const tombstone: Tombstone = { key, id, outcome: rule.tombstone, until: tombstoneUntil }
    const isOf = { $gt: ['$$this.until', { $subtract: ['$$NOW', clockSkewMs] }] }
    const kept = { $filter: { input: { $ifNull: [`$${tombstonesField}`, []] }, cond: isOf } }
    set[tombstonesField] = { $concatArrays: [kept, [{ $literal: tombstone }]] }
  }
  return [{ $set: set }]
}

/** What `$inc` adds, nested as in the document, so that a path through the entries finds it. */
function deltaOf(own: KeptPart['apply']): Readonly<Record<string, unknown>> {
  const delta = bare()
  for (const [path, by] of Object.entries(own['$inc'] ?? {})) setAt(delta, path.split('.'), by)
  return delta
}

/** A path may have any name in it, `__proto__` too. */
const bare = (): Record<string, unknown> => Object.create(null)

function setAt(target: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    target[name] = value
    return
  }
  target[name] ??= bare()
  setAt(target[name] as Record<string, unknown>, rest, value)
}

/** What a document has of a transaction. */
export interface Sight {
  readonly hasEntry: boolean
  readonly hasTombstone: boolean
  readonly isLate: boolean
  /** No `apply` of it can come late any more. */
  readonly isPast: boolean
  readonly isCrowded: boolean
}

/** Tells why a step has not matched, in one read. */
export function sightPipeline({ key, part, deadline, entriesMax, pruneUntil, ...at }: StepAt): Plain[] {
  const keys = (field: string) => ({ $ifNull: [`$${field}.key`, []] })
  const isLasting = { $gt: ['$$this.until', pruneUntil ?? never] }
  const isTold = { $and: [{ $eq: ['$$this.key', { $literal: key }] }, isLasting] }
  const told = { $filter: { input: { $ifNull: [`$${tombstonesField}`, []] }, cond: isTold } }
  const isFull = (field: string) => ({ $gte: [{ $size: keys(field) }, entriesMax] })
  return [
    { $match: { _id: { $eq: part.id } } },
    {
      $project: {
        hasEntry: { $in: [{ $literal: key }, keys(entriesField)] },
        hasTombstone: { $gt: [{ $size: told }, 0] },
        isLate: { $gte: ['$$NOW', { $literal: deadline }] },
        isPast: { $gt: ['$$NOW', { $literal: new Date(at.applyUntil.getTime() + at.clockSkewMs) }] },
        isCrowded: { $or: [isFull(entriesField), isFull(tombstonesField)] },
      },
    },
  ]
}

/** How long a tombstone that nothing can come after is kept: to the next write that prunes. */
export const brief = never
