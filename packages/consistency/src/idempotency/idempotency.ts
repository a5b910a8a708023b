import { type BeginTransactionOptions, type DbContext, dbContextError, type StrataError } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'
import { checkWindowMs, ensureExpiry } from '../expiring-rows.ts'
import { Keys } from './keys.ts'
import type { KeyRecord } from './record.ts'

export interface IdempotencyOptions {
  readonly db: Pick<DbContext, 'transaction' | 'current'>
  readonly datasource: MongoDatasource
  /** Default `strata.idempotency`. */
  readonly collection?: string
  /** How long a key is remembered, in milliseconds, from its first request; default 24 hours, from 1,000 to a year. */
  readonly windowMs?: number
  /** The largest answer that is kept, in bytes of JSON; default 1,048,576 (1 MiB). */
  readonly answerBytesMax?: number
  /**
   * Which errors stay the answer to their key, of those that say that nothing was applied and that the same would be refused again;
   * default: all. After another one the request may be repeated with its key, as if it came for the first time.
   */
  readonly isFinal?: (error: StrataError) => boolean
}

/** A request as its sender repeats it. */
export interface KeyedRequest {
  /** 1 to 1,024 characters that the sender made up for this request. */
  readonly key: string
  /** Whose keys these are, as a sender or a tenant; default one for all. */
  readonly scope?: string
  /** All that makes it this request, as JSON: the route and the body. */
  readonly request: unknown
  /** Of the transaction that its work runs in. */
  readonly transaction?: Pick<
    BeginTransactionOptions,
    'deadlineMs' | 'retries' | 'name' | 'readConcern' | 'writeConcern'
  >
}

export interface Answered<Answer> {
  readonly answer: Answer
  /** True for one that an earlier request was answered with. */
  readonly replayed: boolean
}

/**
 * Answers requests that are repeated with their key, as HTTP's `Idempotency-Key`, once.
 *
 * Guaranteed: what a request writes through this datasource and its answer are one transaction, and a repeated request gets that
 * answer. One whose process died before the commit is taken up: its transaction has the same id and the same `now`, so its body is
 * given the results of the jobs that it has awaited before, and runs none of them a second time, as long as their records are kept
 * in Redis. A refusal that would come again (`not-applied`, not transient, and `isFinal`) is an answer as well.
 *
 * A failure with nothing applied that may pass (`not-applied`) begins a new generation: the next request makes calls of its own, so
 * that what was undone after the failure is not taken for done. After one whose outcome is unknown, and after an error of another
 * class, the next request goes on where that one was: a body that undoes something after those has to find that out itself.
 *
 * Not guaranteed: what the body does outside its transaction and its awaited jobs, and anything once the window is over.
 */
export interface Idempotency {
  /**
   * Runs `body` in a transaction of its own, within a unit of work and outside any transaction.
   *
   * @throws IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_ANSWER_INVALID (all
   * `not-applied`), IDEMPOTENCY_ROW_INVALID (`unknown`), CONFIG, and what the body and `db.transaction.begin` throw, or threw
   */
  run<Answer>(request: KeyedRequest, body: () => Promise<Answer>): Promise<Answered<Answer>>
  /** Creates the collection and the index that ends the window. Idempotent; for the start of a process. @throws DEFINITION_BLOCKED */
  ensureIndexes(): Promise<void>
}

const collectionDefault = 'strata.idempotency'
const windowMsDefault = 86_400_000
const answerBytesMaxDefault = 1_048_576
const answerBytesLimit = 15_728_640

/** Makes the keeper of keys; opens nothing. @throws CONFIG */
export function createIdempotency(options: IdempotencyOptions): Idempotency {
  const { db, datasource, collection = collectionDefault, isFinal = () => true } = options
  const windowMs = checkWindowMs(options.windowMs ?? windowMsDefault)
  const answerBytesMax = checkAnswerBytesMax(options.answerBytesMax ?? answerBytesMaxDefault)
  const records = datasource.collection<KeyRecord>(collection)
  const keys = new Keys({ db, datasource: datasource.name, records, answerBytesMax, isFinal })
  return {
    run: async (request, body) => await keys.run(request, body),
    ensureIndexes: () => ensureExpiry(datasource, { collection, field: 'startedAt', windowMs }),
  }
}

/** @throws CONFIG */
function checkAnswerBytesMax(got: number): number {
  if (Number.isInteger(got) && got >= 1 && got <= answerBytesLimit) return got
  throw dbContextError('CONFIG', `Option answerBytesMax is ${got}, expected 1 to ${answerBytesLimit} bytes`, {
    details: { option: 'answerBytesMax', got },
  })
}
