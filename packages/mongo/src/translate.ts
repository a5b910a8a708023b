import { type Activity, dbContextError, type Outcome, type StrataError } from '@strata/db-context'
import { MongoServerError, type MongoWriteConcernError } from 'mongodb'
import { codeOf, hasName, isServerError, isWaitQueueTimeout } from './classify.ts'
import { mongoError } from './errors.ts'
import { sessionTaken } from './session-taken.ts'
import { tooLarge } from './too-large.ts'

const maxTimeExpired = 50
const writeConcernTimeout = 64

/** Whose limit an operation was sent with. */
type LimitOf = 'user' | 'operation' | 'deadline'

/** The `maxTimeMS` of one send. */
export interface TimeLimit {
  readonly ms: number
  readonly of: LimitOf
}

/** What an error is about. */
export interface Sent {
  readonly what: string
  readonly activity: Activity
  readonly limit: TimeLimit
  /** What became of the operation when the server gave it up at its time limit. */
  readonly outcomeAtLimit: Outcome
}

/** True when the server gave an operation up at its time limit and says so itself: then a single write was not applied. */
export function isTimeLimit(error: unknown): boolean {
  return codeOf(error) === maxTimeExpired && isServerError(error) && !isWriteConcernError(error)
}

/**
 * True when a write was applied and only its confirmation is missing. It may carry the same code as one that was given up:
 * told apart by the code alone, a write would be sent twice.
 */
export function isUnconfirmed(error: unknown): boolean {
  const code = codeOf(error)
  return isWriteConcernError(error) && (code === maxTimeExpired || code === writeConcernTimeout)
}

/**
 * The server's refusal of a write, as a duplicate key, where no majority was there in time either: of an answer that says both the driver
 * throws the second alone, with the first inside. Taken for a write that was applied, it would tell two inserts of one key that they are it.
 */
export function refusalIn(error: unknown): unknown {
  if (!isWriteConcernError(error)) return error
  const { writeErrors } = (error as MongoWriteConcernError).result
  return Array.isArray(writeErrors) && writeErrors.length > 0 ? new MongoServerError(writeErrors[0]) : error
}

const isWriteConcernError = (error: unknown) => hasName(error, 'MongoWriteConcernError')

/**
 * Gives the bounds that are ours their own errors; whatever else the server or the driver says stays as it is, labels and
 * all.
 */
export function translate(thrown: unknown, sent: Sent): unknown {
  const error = refusalIn(thrown)
  if (isWaitQueueTimeout(error)) return poolTimeout(sent.what, sent.activity, error)
  if (hasName(error, 'MongoServerSelectionError')) return serverUnreachable(sent.what, error)
  if (hasName(error, 'MongoNotConnectedError')) return stopped(sent.what, { cause: error, outcome: 'not-applied' })
  if (hasName(error, 'MongoClientClosedError')) return stopped(sent.what, { cause: error, outcome: 'unknown' })
  if (isTimeLimit(error)) return givenUp(error, sent)
  if (isUnconfirmed(error)) return unconfirmed(sent.what, { cause: error, outcome: 'applied' })
  return sessionTaken(sent.what, error) ?? tooLarge(error, { what: sent.what, outcome: sent.outcomeAtLimit }) ?? error
}

export function unconfirmed(what: string, { cause, outcome }: { cause: unknown; outcome: Outcome }): StrataError {
  return mongoError(
    'WRITE_UNCONFIRMED',
    `Write was applied and no majority confirmed it in time: ${what}. Ask the data`,
    {
      outcome,
      details: { what },
      cause,
    },
  )
}

export function poolTimeout(what: string, activity: Activity, cause: unknown): StrataError {
  const { datasource, level } = activity
  const waitedMs = Math.round(performance.now() - activity.since)
  return dbContextError(
    'POOL_TIMEOUT',
    `No connection of ${datasource} at level ${level} came free within ${waitedMs} ms: ${what}. ` +
      'Raise the pool, or shorten what holds it',
    { details: { datasource, level, waitedMs }, cause },
  )
}

export function serverUnreachable(what: string, cause: unknown): StrataError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return mongoError('SERVER_UNREACHABLE', `No server could be reached in time for ${what}: ${reason}`, { cause })
}

export function stopped(what: string, { cause, outcome }: { cause?: unknown; outcome: Outcome }): StrataError {
  return dbContextError('STOPPED', `Connections are closed: ${what} came after the stop, or was cut off by it`, {
    outcome,
    cause,
  })
}

/**
 * An operation that was given up at its limit. A single operation's own limit keeps the driver's error; of one that may have
 * applied a part the driver says "nothing inserted", so that is told as what it is.
 */
export function givenUp(error: unknown, { what, limit, outcomeAtLimit: outcome, activity }: Sent): unknown {
  if (limit.of === 'user' && outcome !== 'unknown') return error
  const details = { what, limitMs: limit.ms, datasource: activity.datasource, ...appliedAtLeast(error) }
  const options = { outcome, details, cause: error }
  const ask = outcome === 'unknown' ? '. A part may be applied: ask the data' : ''
  if (limit.of === 'deadline') {
    return dbContextError(
      'DEADLINE_EXCEEDED',
      `Server did not finish ${what} before the deadline around it${ask}`,
      options,
    )
  }
  const bound = limit.of === 'user' ? 'its maxTimeMS' : 'operationTimeoutMs'
  return mongoError(
    'OPERATION_TIMEOUT',
    `Server did not finish ${what} within ${bound} (${limit.ms} ms): raise it, or shorten the operation${ask}`,
    options,
  )
}

/**
 * What the server has confirmed of a bulk write that it gave up: the batches before the one under way. Of that one it says
 * nothing, so these are lower bounds.
 */
function appliedAtLeast(error: unknown): { readonly appliedAtLeast?: Readonly<Record<string, number>> } {
  if (!hasName(error, 'MongoBulkWriteError')) return {}
  const { insertedCount, modifiedCount, deletedCount, upsertedCount } = error as Record<string, number>
  const counts = { inserted: insertedCount, modified: modifiedCount, deleted: deletedCount, upserted: upsertedCount }
  return { appliedAtLeast: Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, n ?? 0])) }
}
