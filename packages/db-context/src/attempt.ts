import { isNativeError } from 'node:util/types'
import { at } from './deadline.ts'
import { hasCode, type Outcome, type StrataError } from './error.ts'
import { dbContextError } from './registry.ts'
import type { Transaction } from './transaction.ts'

/** In a message; `details` has them all. */
const unpushedPrintedMax = 5

/**
 * Runs a body in a transaction once and ends it: the value means committed. The connection is given back before this
 * settles, whichever way it went.
 */
export async function attempt<T>(
  transaction: Transaction,
  body: () => Promise<T>,
  enter: <R>(body: () => Promise<R>) => Promise<R>,
): Promise<T> {
  try {
    const value = await cutShort(transaction, () => enter(body))
    if (transaction.beforeCommit.length > 0) await cutShort(transaction, () => enter(() => runLast(transaction)))
    const closing = transaction.close()
    if (closing !== undefined) await closing
    if (transaction.failure) throw rollbackOnly(transaction)
    await commit(transaction)
    return value
  } catch (thrown) {
    if (transaction.isOpen) await rollBack(transaction, thrown)
    await transaction.innerEnded()
    throw isError(thrown) ? withEffects(transaction, thrown) : notAnError(transaction, thrown)
  } finally {
    await transaction.handle.end()
  }
}

/** Not in a transaction that can only be rolled back. One may leave more to be done. */
async function runLast(transaction: Transaction): Promise<void> {
  for (const last of transaction.beforeCommit) if (!transaction.failure) await last()
}

async function commit(transaction: Transaction): Promise<void> {
  try {
    await transaction.handle.commit()
    transaction.state = 'committed'
  } catch (error) {
    transaction.failOnServer(error, { endsTransaction: true, transient: false })
    const isInDoubt = hasCode(error, 'COMMIT_UNKNOWN')
    transaction.state = isInDoubt ? 'unknown' : 'rolled-back'
    throw isInDoubt ? withUnpushed(transaction, error) : error
  }
}

/**
 * Names the jobs that are not sent because nobody knows whether they should be: sent now, one could work for a transaction that
 * was rolled back. Whoever asks the data can send them.
 */
function withUnpushed({ pushes }: Transaction, error: StrataError): StrataError {
  if (pushes.length === 0) return error
  const { message, details, cause } = error
  const [count, ids] = [pushes.length, pushes.map(({ job, id }) => `${job} (${id})`)]
  const more = count > unpushedPrintedMax ? ` and ${count - unpushedPrintedMax} more` : ''
  const printed = `${ids.slice(0, unpushedPrintedMax).join(', ')}${more}`
  return dbContextError('COMMIT_UNKNOWN', `${message}. If it was applied, push what was not pushed: ${printed}`, {
    details: { ...details, unpushed: pushes },
    cause,
  })
}

async function rollBack(transaction: Transaction, cause: unknown): Promise<void> {
  await transaction.close({ cause })
  await transaction.handle.abort()
  transaction.state = 'rolled-back'
}

/** A body that does not end in time, or whose unit is given up, is left behind; what it still tries here is refused. */
function cutShort<T>(transaction: Transaction, body: () => Promise<T>): Promise<T> {
  const { outer } = transaction
  if (outer.signal.aborted) return Promise.reject(outer.signal.reason)
  // By hand: a race in an async function makes four promises more for each transaction.
  return new Promise<T>((resolve, reject) => {
    const fail = (reason: unknown) => {
      settle()
      reject(reason)
    }
    const disarm = at(transaction.deadline, () => fail(timedOut(transaction)))
    const settle = () => {
      disarm()
      forget()
    }
    const forget = outer.onAbort(() => fail(outer.signal.reason))
    try {
      Promise.resolve(body()).then(value => {
        settle()
        resolve(value)
      }, fail)
    } catch (error) {
      fail(error)
    }
  })
}

const effectsOf = ({ effects, calls }: Transaction): string[] => [...effects, ...calls]

/** A transaction that was rolled back is not applied; what its body has caused outside it may be. */
const outcomeOf = (effects: readonly string[]): Outcome => (effects.length > 0 ? 'unknown' : 'not-applied')

function timedOut(transaction: Transaction) {
  const { id, name, level } = transaction
  const effects = effectsOf(transaction)
  return dbContextError(
    'TRANSACTION_TIMEOUT',
    `Transaction ${name ?? id} was not ready to commit within its deadlineMs: rolled back`,
    { details: { transaction: id, level, effects }, outcome: outcomeOf(effects) },
  )
}

/** What is left of a transaction that has failed, told with the first cause. */
export function rollbackOnly(transaction: Transaction): StrataError<'ROLLBACK_ONLY'> {
  const { id, name, failure } = transaction
  const effects = effectsOf(transaction)
  return dbContextError('ROLLBACK_ONLY', `Transaction ${name ?? id} cannot be committed: ${failure?.why}`, {
    details: { transaction: id, effects },
    outcome: outcomeOf(effects),
    transient: effects.length === 0 && transaction.isTransientFailure,
    cause: failure?.cause,
  })
}

/** What was in mid-commit when the error was made may have become an effect: the error must not deny it. */
function withEffects(transaction: Transaction, error: unknown): unknown {
  const { id } = transaction
  const effects = effectsOf(transaction)
  const isOurs = hasCode(error, 'TRANSACTION_TIMEOUT') || hasCode(error, 'ROLLBACK_ONLY')
  if (!isOurs || error.details['transaction'] !== id || error.outcome === outcomeOf(effects)) return error
  const { code, message, details, cause } = error
  return dbContextError(code, message, { outcome: outcomeOf(effects), details: { ...details, effects }, cause })
}

/** Of another realm too. */
const isError = (thrown: unknown) => thrown instanceof Error || isNativeError(thrown)

function notAnError(transaction: Transaction, thrown: unknown) {
  const { id, name } = transaction
  return dbContextError(
    'NOT_AN_ERROR',
    `Body of transaction ${name ?? id} threw ${thrown === null ? 'null' : `a value of type ${typeof thrown}`}, not an error: rolled back`,
    { details: { transaction: id, thrown }, outcome: outcomeOf(effectsOf(transaction)), cause: thrown },
  )
}
