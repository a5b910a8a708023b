import type { Claim } from './claim.ts'
import type { Plain } from './port.ts'
import { recordVersion, type TransactionRecord } from './record.ts'
import { type Engine, leaseMsMax } from './settings.ts'
import { type EndState, isEnd, type TransactionState, type TransitionName, type TransitionRule } from './table.ts'

export interface Transit {
  readonly id: string
  /** Who makes it: the claim that it is made under, or that it gives. */
  readonly claim: Pick<Claim, 'owner'> & Partial<Claim>
  /** Further fields of the record, as they are. */
  readonly set?: Plain
  /** The state that a person has found it in, where that is none of the known. */
  readonly from?: string
  /** To where a person resolves it. */
  readonly to?: EndState
  /** Set where a participant is missing. */
  readonly isMissing?: boolean
}

/**
 * Makes a transition, if its rule allows it at this moment.
 *
 * @returns the record as it is then; null where the rule refused
 */
export async function transit(engine: Engine, name: TransitionName, at: Transit): Promise<TransactionRecord | null> {
  const rule = engine.protocol.transitions[name]
  const changed = await engine.store.records.change(filterOf(engine, rule, at), pipelineOf(engine, rule, at))
  const record = changed as TransactionRecord | null
  engine.clock.observe(record?.touchedAt)
  return record
}

/**
 * As {@link transit}, for whoever holds a claim: an answer that got lost is asked for.
 *
 * @returns the record as it is, whoever holds it
 */
export async function transitHeld(
  engine: Engine,
  name: TransitionName,
  at: Transit & { readonly claim: Claim },
): Promise<{ readonly record: TransactionRecord | null; readonly isMade: boolean }> {
  const made = await transit(engine, name, at)
  const record = made ?? (await readRecord(engine, at.id))
  return { record, isMade: made !== null }
}

export async function readRecord({ store }: Pick<Engine, 'store'>, id: string): Promise<TransactionRecord | null> {
  const [record] = await store.records.aggregate([{ $match: { _id: { $eq: id } } }])
  return (record ?? null) as TransactionRecord | null
}

/** Gives a claim back, so that whoever looks next has it. What was sent under it goes by its own deadline. @returns null for a claim that is lost */
export async function letGo({ store }: Engine, { _id, token, state }: TransactionRecord, set: Plain) {
  const update = [{ $set: { ...set, touchedAt: '$$NOW', owner: '$$REMOVE', until: '$$REMOVE' } }]
  return (await store.records.change({ _id, token, state }, update)) as TransactionRecord | null
}

const never = new Date(0)

/** By the server's clock. One that ends later than any lease can was given by a clock that has been set back since. */
export const isFree = {
  $or: [{ $lte: [{ $ifNull: ['$until', never] }, '$$NOW'] }, { $gt: ['$until', { $add: ['$$NOW', 2 * leaseMsMax] }] }],
} as const

function filterOf({ clockSkewMs }: Engine, rule: TransitionRule, { id, claim, from, isMissing }: Transit): Plain {
  const conditions: Plain[] = []
  if (rule.needsFreeLease) conditions.push(isFree)
  if (rule.waitsForMissing && isMissing) {
    conditions.push({ $gt: ['$$NOW', { $add: [{ $ifNull: ['$applyUntil', never] }, clockSkewMs] }] })
  }
  return {
    _id: id,
    v: recordVersion,
    state: from === undefined ? { $in: [...rule.from] } : { $eq: from },
    ...(rule.token === 'checked' ? { token: claim.token } : {}),
    ...(conditions.length > 0 ? { $expr: { $and: conditions } } : {}),
  }
}

function pipelineOf({ leaseMs }: Engine, rule: TransitionRule, { claim, set, to }: Transit): Plain[] {
  const until = { $add: ['$$NOW', leaseMs] }
  const isRaised = rule.token === 'raised'
  return [
    {
      $set: {
        touchedAt: '$$NOW',
        ...(rule.from.includes('initial') ? { createdAt: timed } : {}),
        ...(isRaised ? { token: { $add: ['$token', 1] }, owner: { $literal: claim.owner } } : {}),
        ...(isRaised || rule.to === 'same' ? { until, ...applyUntil(rule, until) } : {}),
        ...literals(set ?? {}),
      },
    },
    ...stateStages(rule.to === 'given' ? to : rule.to),
  ]
}

/** Whoever made the record may not have known the server's time. */
const timed = { $cond: [{ $gt: ['$createdAt', never] }, '$createdAt', '$$NOW'] }

/** The latest of all leases under which an `apply` may be sent. Under other leases none is. */
function applyUntil({ to }: TransitionRule, until: Plain): Plain {
  const latest = { $max: [{ $ifNull: ['$applyUntil', never] }, until] }
  if (to === 'pending') return { applyUntil: latest }
  const isPending = { $eq: ['$state', 'pending'] }
  return to === 'same' ? { applyUntil: { $cond: [isPending, latest, { $ifNull: ['$applyUntil', '$$REMOVE'] }] } } : {}
}

function stateStages(state: TransactionState | 'same' | undefined): Plain[] {
  if (state === undefined || state === 'same') return []
  const ended = { endedAt: '$$NOW', open: '$$REMOVE', owner: '$$REMOVE', until: '$$REMOVE' }
  return [{ $set: { state, changedAt: '$$NOW', stuck: '$$REMOVE', ...(isEnd(state) ? ended : {}) } }]
}

const literals = (set: Plain): Plain =>
  Object.fromEntries(Object.entries(set).map(([name, value]) => [name, { $literal: value }]))
