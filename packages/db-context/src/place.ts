import type { Activity } from './datasource.ts'
import { type Deadline, deadlineIn, remainingMs } from './deadline.ts'
import { hasCode } from './error.ts'
import type { Outer } from './outer.ts'
import { describePool, type LevelPool } from './pool.ts'
import { lockBlockedError, putBackAfterMs } from './put-back.ts'
import type { Hold, Rank } from './rank.ts'
import { dbContextError } from './registry.ts'
import type { RetryBudget } from './retry.ts'
import { innermostOpen, type Scope } from './scope.ts'
import type { Steps } from './steps.ts'
import type { TransactionTerms } from './terms.ts'
import { Transaction } from './transaction.ts'
import type { PoolWait } from './wait.ts'

/** What all attempts of one transaction share. */
export interface Place {
  readonly id: string
  readonly startedAt: number
  readonly name: string | undefined
  readonly terms: TransactionTerms
  readonly scope: Scope
  readonly datasource: string
  readonly pool: LevelPool
  readonly enclosing: Transaction | undefined
  /** Given up when the unit of work, or the transaction around this one, is over. */
  readonly outer: Outer
  readonly wait: PoolWait
  readonly steps: Steps
  /** Of the whole: counted from the first permit, and not begun anew by an attempt. */
  deadline: Deadline | undefined
}

interface Failed {
  readonly transaction: Transaction
  readonly error: unknown
}

export type Run<T> = { readonly transaction: Transaction; readonly value: T } | Failed

/**
 * Waits, with permit and session given back, before another attempt. Only a failure that was the first of this transaction, and
 * that its own server calls transient, leads to one: what a body threw before, or a deadline, is an answer.
 *
 * @throws the error of the last attempt, or why there is no other
 */
export async function repeat({ transaction, error }: Failed, at: Place, budget: RetryBudget): Promise<void> {
  const { scope, pool, outer, steps } = at
  const { signal } = outer
  if (transaction.isHeldUpBy(transaction.failure?.cause)) return await unwind(transaction, at, budget)
  // The body has read the conflict: what holds the document is this very work in another run, which a slot must not wait for.
  if (hasCode(error, 'MESSAGE_IN_PROGRESS')) throw error
  const own = transaction.serverFailure
  if (!own || own.cause !== transaction.failure?.cause || transaction.state !== 'rolled-back') throw error
  if (budget.isOff || signal.aborted || scope.unit.ended) throw error
  const kind = pool.adapter.classify(own.cause)
  if (!kind.transient) throw error
  const { unit } = scope
  const effects = [...transaction.effects, ...steps.lost]
  if (effects.length > 0) throw retryUnsafe(transaction, effects, own.cause)
  if (remainingMs(transaction.deadline) === 0) throw outOfTime(transaction, own.cause)
  if (kind.conflict && unit.isUntouched && budget.conflictMs >= putBackAfterMs)
    throw lockBlocked(transaction, own.cause)
  try {
    await budget.next(own.cause, kind, signal)
  } catch (refusal) {
    throw (hasCode(refusal, 'LOCK_TIMEOUT') && transaction.suspicion) || refusal
  }
}

/**
 * Runs the body again, after a pause, because work that it awaited was held up by a document for too long: what held it may wait for
 * this transaction in its turn. Only the outermost of those that wait: what one further in kept, its job's slot among it, would
 * still be kept.
 *
 * @throws the error of the work, RETRY_UNSAFE, TRANSACTION_TIMEOUT
 */
async function unwind(transaction: Transaction, { scope, outer, steps }: Place, budget: RetryBudget): Promise<void> {
  const { signal } = outer
  const error = transaction.failure?.cause
  if (transaction.state !== 'rolled-back' || budget.isOff || signal.aborted || scope.unit.ended) throw error
  if (innermostOpen(scope) || scope.unit.chain.some(({ writes = [] }) => writes.length > 0)) throw error
  const effects = [...transaction.effects, ...steps.lost]
  if (effects.length > 0) throw retryUnsafe(transaction, effects, error)
  if (remainingMs(transaction.deadline) === 0) throw outOfTime(transaction, error)
  await budget.unwind(error, signal)
}

/** What it is called is put together only for the error of somebody who would wait behind it. */
class ConnectionHold implements Hold {
  readonly rank: Rank
  readonly unit: string
  readonly #at: Place

  constructor(at: Place) {
    this.rank = at.pool.rank
    this.unit = at.scope.unit.id
    this.#at = at
  }

  get what(): string {
    const { id, name, pool } = this.#at
    return `the connection of transaction ${name ?? id} on ${describePool(pool)}`
  }
}

export function newTransaction(at: Place, activity: Activity): Transaction {
  const { id, name, terms, scope, datasource, pool } = at
  const { readConcern, writeConcern } = terms
  const isRepeated = at.deadline !== undefined
  at.deadline ??= Math.min(deadlineIn(terms.deadlineMs), scope.unit.deadline)
  const { deadline } = at
  const concerns = { ...(readConcern && { readConcern }), ...(writeConcern && { writeConcern }) }
  return new Transaction({
    id,
    startedAt: at.startedAt,
    name,
    datasource,
    level: scope.level,
    terms,
    deadline,
    outer: at.outer,
    hold: new ConnectionHold(at),
    handle: pool.adapter.begin({ id, isRepeated, deadline, activity, concerns }),
    steps: at.steps,
  })
}

function lockBlocked({ id, name, level, suspicion }: Transaction, cause: unknown) {
  return lockBlockedError(`transaction ${name ?? id}`, { level, transaction: id, cause: suspicion ?? cause })
}

function outOfTime({ id, name, level }: Transaction, cause: unknown) {
  return dbContextError(
    'TRANSACTION_TIMEOUT',
    `Transaction ${name ?? id} was rolled back by a transient error and not run again: its deadlineMs has passed`,
    { details: { transaction: id, level }, cause },
  )
}

function retryUnsafe(transaction: Transaction, effects: readonly string[], cause: unknown) {
  return dbContextError(
    'RETRY_UNSAFE',
    `Transaction ${transaction.name ?? transaction.id} was rolled back by a transient error and not run again, ` +
      `because its body had already caused: ${effects.join(', ')}`,
    { details: { transaction: transaction.id, effects }, cause },
  )
}
