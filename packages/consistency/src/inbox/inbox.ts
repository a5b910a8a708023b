import { type BeginTransactionOptions, type DbContext, dbContextError } from '@strata/db-context'
import type { BoundCollection, MongoDatasource } from '@strata/mongo'
import { consistencyError } from '../errors.ts'
import { checkWindowMs, ensureExpiry } from '../expiring-rows.ts'
import { isHeld } from '../held-row.ts'
import { jsonText } from '../json-text.ts'
import { type Message, messageId } from './message.ts'
import { deliveries } from './metrics.ts'
import { type InboxRow, readResult, rowVersion } from './row.ts'

export interface InboxOptions {
  readonly db: Pick<DbContext, 'transaction'>
  /** Where the handlers write: what an inbox covers is one transaction of it. */
  readonly datasource: MongoDatasource
  /** Default `strata.inbox`. */
  readonly collection?: string
  /** How long a message is remembered, in milliseconds, from when it was first handled; default 7 days, from 1,000 to a year. */
  readonly windowMs?: number
  /** The largest result that is kept, in bytes of JSON; default 1,048,576 (1 MiB). */
  readonly resultBytesMax?: number
}

/** Of the transaction that a handler runs in. */
export type InboxTransaction = Pick<
  BeginTransactionOptions,
  'deadlineMs' | 'retries' | 'name' | 'readConcern' | 'writeConcern'
>

/** What a handler is given beside its input, as far as an inbox reads it: what `@strata/queue` gives. */
export interface Delivery {
  readonly job: { readonly id?: string | undefined; readonly name: string }
}

export interface OnceOptions<Input, Context> {
  /** Default: the id of the job. For messages that more than one job may carry: their own id. */
  readonly key?: (input: Input, context: Context) => string
  /** Default: the name of the job. */
  readonly scope?: string
  readonly transaction?: InboxTransaction
}

/**
 * Runs handlers once a message, on top of deliveries that come at least once.
 *
 * Guaranteed: what a handler writes through this datasource, the row of its message and its result are one transaction, so none is
 * there without the others. A later delivery gets the stored result. One that comes while the first still runs ends at once with
 * `MESSAGE_IN_PROGRESS`, which a worker of `@strata/queue` answers by putting the job back, with its slot free. A run that fails
 * leaves nothing: the next delivery runs. So does one whose process was killed, once its session is ended (within 20 s).
 *
 * Not guaranteed: what the handler does outside that transaction (calls, mails, other stores, work one level deeper), which happens
 * in each run; and anything once the window is over: a delivery that comes later than that runs the handler again.
 */
export interface Inbox {
  /**
   * Wraps a handler; its runs are in a transaction, which a `begin` in it joins.
   *
   * @throws MESSAGE_IN_PROGRESS, INBOX_KEY_INVALID, INBOX_RESULT_INVALID (all `not-applied`), INBOX_ROW_INVALID (`unknown`), and what
   * the handler and `db.transaction.begin` throw
   */
  once<Input, Context extends Delivery, Result>(
    handler: (input: Input, context: Context) => Promise<Result>,
    options?: OnceOptions<Input, Context>,
  ): (input: Input, context: Context) => Promise<Result>
  /** The same for a message that no job carries; within a unit of work. */
  handle<Result>(message: Message, body: () => Promise<Result>, transaction?: InboxTransaction): Promise<Result>
  /** Creates the collection and the index that ends the window. Idempotent; for the start of a process. @throws DEFINITION_BLOCKED */
  ensureIndexes(): Promise<void>
}

const collectionDefault = 'strata.inbox'
const windowMsDefault = 7 * 86_400_000
const resultBytesMaxDefault = 1_048_576

/** The server's documents end at 16 MiB. */
const resultBytesLimit = 15_728_640

/** Makes an inbox; opens nothing. @throws CONFIG */
export function createInbox(options: InboxOptions): Inbox {
  const { db, datasource, collection = collectionDefault, resultBytesMax = resultBytesMaxDefault } = options
  const windowMs = checkWindowMs(options.windowMs ?? windowMsDefault)
  checkResultBytesMax(resultBytesMax)
  const rows = datasource.collection<InboxRow>(collection)

  const inbox: Inbox = {
    once:
      (handler, { key, scope, transaction } = {}) =>
      (input, context) => {
        const message = { scope: scope ?? context.job.name, key: key ? key(input, context) : (context.job.id ?? '') }
        return inbox.handle(message, () => handler(input, context), transaction)
      },
    async handle<Result>(message: Message, body: () => Promise<Result>, transaction: InboxTransaction = {}) {
      const id = messageId(message)
      let isDuplicate = false
      const handleOnce = async () => {
        const found = await claim(rows, id, message.scope)
        isDuplicate = found !== null
        if (found) return readResult(found) as Result
        const result = await body()
        await store(result, id)
        return result
      }
      const value = await db.transaction.begin(handleOnce, { ...transaction, datasource: datasource.name })
      deliveries.add(1, { scope: message.scope, result: isDuplicate ? 'duplicate' : 'handled' })
      return value
    },
    ensureIndexes: () => ensureExpiry(datasource, { collection, field: 'at', windowMs }),
  }

  /** Last in the transaction, and before its commit: an effect is never there without its result. @throws INBOX_RESULT_INVALID */
  async function store(result: unknown, message: string): Promise<void> {
    if (result === undefined) return
    const written = jsonText(result, resultBytesMax)
    if (written.fault !== undefined) {
      const text = `Result of message ${message} ${written.fault}: its transaction is rolled back`
      throw consistencyError('INBOX_RESULT_INVALID', text, {
        details: { message, fault: written.fault, resultBytesMax },
      })
    }
    await rows.updateOne({ _id: message }, { $set: { result: written.text } })
  }

  return inbox
}

/**
 * Takes the row of a message, as the first statement: until the transaction ends, whoever else tries meets a conflict at once. Changes
 * nothing in a row that is there. By the server's clock, which a process's own that is set back does not change.
 *
 * @returns the row of a message that was handled before, or null
 * @throws MESSAGE_IN_PROGRESS
 */
async function claim(rows: BoundCollection<InboxRow>, message: string, scope: string): Promise<InboxRow | null> {
  const first = { at: { $ifNull: ['$at', '$$NOW'] }, v: { $ifNull: ['$v', rowVersion] } }
  try {
    return await rows.findOneAndUpdate({ _id: message }, [{ $set: first }], { upsert: true, returnDocument: 'before' })
  } catch (error) {
    if (!isHeld(error)) throw error
    deliveries.add(1, { scope, result: 'in-progress' })
    const text = `Message ${message} is being handled by another run: try again when that one has ended`
    throw dbContextError('MESSAGE_IN_PROGRESS', text, { details: { message }, cause: error })
  }
}

/** @throws CONFIG */
function checkResultBytesMax(got: number): void {
  if (Number.isInteger(got) && got >= 1 && got <= resultBytesLimit) return
  throw dbContextError('CONFIG', `Option resultBytesMax is ${got}, expected 1 to ${resultBytesLimit} bytes`, {
    details: { option: 'resultBytesMax', got },
  })
}
