import type { Activity } from './datasource.ts'
import { type Deadline, deadlineIn, remainingMs } from './deadline.ts'
import { hasCode } from './error.ts'
import { describePool, type LevelPool } from './pool.ts'
import { lockBlockedError, putBackAfterMs } from './put-back.ts'
import { dbContextError } from './registry.ts'
import type { RetryBudget } from './retry.ts'
import type { Scope } from './scope.ts'
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
  /** Aborted when the unit of work, or the transaction around this one, is over. */
  readonly signal: AbortSignal
  readonly wait: PoolWait
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
export async function repeat(
  { transaction, error }: Failed,
  { scope, pool, signal }: Place,
  budget: RetryBudget,
): Promise<void> {
  const own = transaction.serverFailure
  if (!own || own.cause !== transaction.failure?.cause || transaction.state !== 'rolled-back') throw error
  if (budget.isOff || signal.aborted || scope.unit.ended) throw error
  const kind = pool.adapter.classify(own.cause)
  if (!kind.transient) throw error
  if (transaction.effects.length > 0) throw retryUnsafe(transaction, own.cause)
  if (remainingMs(transaction.deadline) === 0) throw outOfTime(transaction, own.cause)
  if (kind.conflict && scope.unit.isUntouched && budget.conflictMs >= putBackAfterMs) {
    throw lockBlocked(transaction, own.cause)
  }
  try {
    await budget.next(own.cause, kind, signal)
  } catch (refusal) {
    throw (hasCode(refusal, 'LOCK_TIMEOUT') && transaction.suspicion) || refusal
  }
}

export function newTransaction(at: Place, activity: Activity): Transaction {
  const { id, name, terms, scope, datasource, pool } = at
  const { readConcern, writeConcern } = terms
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
    outerSignal: at.signal,
    hold: {
      rank: pool.rank,
      unit: scope.unit.id,
      what: `the connection of transaction ${name ?? id} on ${describePool(pool)}`,
    },
    handle: pool.adapter.begin({ id, deadline, activity, concerns }),
  })
}

function outOfTime({ id, name, level }: Transaction, cause: unknown) {
  return dbContextError(
    'TRANSACTION_TIMEOUT',
    `Transaction ${name ?? id} was rolled back by a transient error and not run again: its deadlineMs has passed`,
    { details: { transaction: id, level }, cause },
  )
}

function lockBlocked({ id, name, level }: Transaction, cause: unknown) {
  return lockBlockedError(`transaction ${name ?? id}`, { level, transaction: id, cause })
}

function retryUnsafe(transaction: Transaction, cause: unknown) {
  const { effects } = transaction
  return dbContextError(
    'RETRY_UNSAFE',
    `Transaction ${transaction.name ?? transaction.id} was rolled back by a transient error and not run again, ` +
      `because its body had already caused: ${effects.join(', ')}`,
    { details: { transaction: transaction.id, effects: [...effects] }, cause },
  )
}
