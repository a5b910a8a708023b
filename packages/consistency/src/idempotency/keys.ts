import { createHash, randomUUID } from 'node:crypto'
import { dbContextError, hasCode, StrataError } from '@strata/db-context'
import type { BoundCollection } from '@strata/mongo'
import { consistencyError } from '../errors.ts'
import { isHeld } from '../held-row.ts'
import { jsonText } from '../json-text.ts'
import { isName, rowId } from '../row-id.ts'
import type { Answered, IdempotencyOptions, KeyedRequest } from './idempotency.ts'
import { keyedRequests } from './metrics.ts'
import { checkRecord, type KeyRecord, readAnswer, recordVersion, writeRefusal } from './record.ts'
import { requestHash } from './request-hash.ts'

/** When to repeat a request whose first is still running. */
const retryAfterMs = 1000

type Ended<Answer> = { readonly answer: Answer } | { readonly record: KeyRecord }

export interface KeysOptions extends Required<Pick<IdempotencyOptions, 'db' | 'answerBytesMax' | 'isFinal'>> {
  /** The name of the one that `records` is of. */
  readonly datasource: string
  readonly records: BoundCollection<KeyRecord>
}

/** The keys of requests, and what became of each. */
export class Keys {
  readonly #db: IdempotencyOptions['db']
  readonly #datasource: string
  readonly #records: BoundCollection<KeyRecord>
  readonly #answerBytesMax: number
  readonly #isFinal: (error: StrataError) => boolean

  constructor({ db, datasource, records, answerBytesMax, isFinal }: KeysOptions) {
    this.#db = db
    this.#datasource = datasource
    this.#records = records
    this.#answerBytesMax = answerBytesMax
    this.#isFinal = isFinal
  }

  async run<Answer>(asked: KeyedRequest, body: () => Promise<Answer>): Promise<Answered<Answer>> {
    const record = await this.#intend(keyId(asked), requestHash(asked.request))
    const earlier = readAnswer(record)
    if (earlier) return replayed(earlier.value as Answer)
    const ended = await this.#begin(record, asked, body)
    if ('answer' in ended) {
      keyedRequests.add(1, { result: 'answered' })
      return { answer: ended.answer, replayed: false }
    }
    const now = readAnswer(ended.record)
    if (!now) throw inProgress(record._id, undefined)
    return replayed(now.value as Answer)
  }

  /** Writes down that the request came, before anything of it is done: whoever takes it up later begins with this record. */
  async #intend(_id: string, hash: string): Promise<KeyRecord> {
    if (this.#db.current.transaction) {
      throw dbContextError('CONFIG', `Request with key ${_id} came inside a transaction: its own must be the outermost`)
    }
    const first = { v: recordVersion, hash, startedAt: '$$NOW', nonce: randomUUID(), generation: 0 }
    const set = Object.fromEntries(
      Object.entries(first).map(([field, value]) => [field, { $ifNull: [`$${field}`, value] }]),
    )
    const options = { upsert: true, returnDocument: 'after' } as const
    const record = await this.#records.findOneAndUpdate({ _id }, [{ $set: set }], options).catch((error: unknown) => {
      // Another process was killed as it wrote the record: it is held until that one's session is ended.
      throw hasCode(error, 'LOCK_TIMEOUT') ? inProgress(_id, error) : error
    })
    if (!record) throw inProgress(_id, undefined)
    checkRecord(record)
    if (record.hash === hash) return record
    const message = `Idempotency key ${_id} was used for another request: nothing was done. Make up a new key`
    throw consistencyError('IDEMPOTENCY_KEY_REUSED', message, { details: { key: _id } })
  }

  async #begin<Answer>(record: KeyRecord, asked: KeyedRequest, body: () => Promise<Answer>): Promise<Ended<Answer>> {
    const { nonce, generation, startedAt: now } = record
    const id = createHash('sha256').update(`${nonce} ${generation}`).digest('base64url')
    const datasource = this.#datasource
    try {
      return await this.#db.transaction.begin(() => this.#work(record, body), {
        ...asked.transaction,
        datasource,
        id,
        now,
      })
    } catch (error) {
      if (hasCode(error, 'MESSAGE_IN_PROGRESS') && error.details['message'] === record._id) {
        throw inProgress(record._id, error.cause)
      }
      await this.#settle(record, error)
      throw error
    }
  }

  /** First the record, which nobody else can have then until the end; last the answer, so that it is committed with the rest. */
  async #work<Answer>(record: KeyRecord, body: () => Promise<Answer>): Promise<Ended<Answer>> {
    const held = await this.#hold(record)
    if (held.answer !== undefined || held.refusal !== undefined) return { record: held }
    const answer = await body()
    const written = jsonText(answer, this.#answerBytesMax)
    if (written.fault !== undefined) {
      const message = `Answer to the request with key ${record._id} ${written.fault}: its transaction is rolled back`
      throw consistencyError('IDEMPOTENCY_ANSWER_INVALID', message, {
        details: { key: record._id, fault: written.fault },
      })
    }
    await this.#records.updateOne({ _id: record._id }, { $set: { answer: written.text } })
    return { answer }
  }

  /** @throws MESSAGE_IN_PROGRESS, also where the record has gone on, or away, since it was read */
  async #hold({ _id, generation }: KeyRecord): Promise<KeyRecord> {
    let cause: unknown
    try {
      // Written whatever it says: a write that changes nothing would hold nothing.
      const held = await this.#records.findOneAndUpdate(
        { _id, generation },
        { $set: { by: randomUUID() } },
        { returnDocument: 'before' },
      )
      if (held) return held
    } catch (error) {
      if (!isHeld(error)) throw error
      cause = error
    }
    throw dbContextError('MESSAGE_IN_PROGRESS', `Request with key ${_id} is being worked on`, {
      details: { message: _id },
      cause,
    })
  }

  /**
   * Notes how a request has failed. Where that fails in its turn, the next request is one after a crash: it goes on where this
   * one was, as it may.
   */
  async #settle({ _id, generation }: KeyRecord, error: unknown): Promise<void> {
    if (!(error instanceof StrataError) || error.outcome !== 'not-applied') return
    const isAnswer = !error.transient && this.#isFinal(error)
    const change = isAnswer
      ? { $set: { refusal: writeRefusal(error, this.#answerBytesMax) } }
      : { $inc: { generation: 1 } }
    const open = { _id, generation, answer: { $exists: false }, refusal: { $exists: false } }
    await this.#records.updateOne(open, change).catch(() => {})
  }
}

function replayed<Answer>(answer: Answer): Answered<Answer> {
  keyedRequests.add(1, { result: 'replayed' })
  return { answer, replayed: true }
}

/** @throws IDEMPOTENCY_KEY_INVALID */
function keyId({ key, scope = 'all' }: KeyedRequest): string {
  if (isName(key) && isName(scope)) return rowId(scope, key)
  const message = 'Idempotency key, or its scope, is not a well-formed text of 1 to 1,024 characters: nothing was done'
  throw consistencyError('IDEMPOTENCY_KEY_INVALID', message, { details: { key: String(key).slice(0, 100) } })
}

function inProgress(key: string, cause: unknown) {
  keyedRequests.add(1, { result: 'in-progress' })
  const message = `A request with idempotency key ${key} is being worked on: repeat it in ${retryAfterMs} ms`
  return consistencyError('IDEMPOTENCY_IN_PROGRESS', message, { details: { key, retryAfterMs }, cause })
}
