import { randomUUID } from 'node:crypto'
import type { DbContext } from '@strata/db-context'
import { Timestamp } from '@strata/mongo'
import { consistencyError } from '../errors.ts'
import type { OutboxMessage } from './port.ts'
import { type Row, rowVersion } from './row.ts'
import type { Store } from './store.ts'

export interface KeepingOptions {
  readonly db: Pick<DbContext, 'current' | 'transaction'>
  readonly datasource: string
  readonly store: Store
  /** Told of the rows of a transaction that has committed. */
  readonly committed: (rows: readonly Row[]) => void
}

const keyLengthMax = 512

/** Filled in by the server, as it inserts. */
const now = new Timestamp({ t: 0, i: 0 })

/** Writes what a transaction pushes into that transaction, at its end. */
export class Keeping {
  readonly #options: KeepingOptions
  /** By what each attempt has of its own. */
  readonly #attempts = new WeakMap<AbortSignal, Row[]>()

  constructor(options: KeepingOptions) {
    this.#options = options
  }

  /** @throws TRANSACTION_MISSING, OUTBOX_ELSEWHERE, OUTBOX_KEY_INVALID */
  append(message: OutboxMessage): void {
    const { db, datasource } = this.#options
    const { transaction } = db.current
    if (transaction && transaction.datasource !== datasource)
      throw elsewhere(message, transaction.datasource, datasource)
    checkKey(message)
    const row: Row = { _id: randomUUID(), v: rowVersion, ...message, state: 'pending', open: true, at: now }
    const rows = transaction && this.#attempts.get(transaction.signal)
    if (rows) {
      rows.push(row)
      return
    }
    const first = [row]
    db.transaction.beforeCommit(() => this.#write(first))
    db.transaction.afterCommit(() => this.#options.committed(first))
    if (transaction) this.#attempts.set(transaction.signal, first)
  }

  /**
   * Last in the transaction, so that rows have times in the order in which transactions end: of two that write the same document,
   * or of which one began after the other's commit, in the order of their commits. For rows that wait for each other the key is
   * written before: two of them must not be on their way at once, even of transactions that only end at the same moment.
   * Not for every key: all that began before another's commit would conflict and run again (100 enrolments of one student, each
   * awaiting its charge: 12 s instead of 7, and past `lockWaitMs` on a busy machine).
   */
  async #write(rows: readonly Row[]): Promise<void> {
    const { store } = this.#options
    const ordered = rows.filter(({ ordered }) => ordered).map(({ key }) => key)
    for (const _id of [...new Set(ordered)].filter(key => key !== undefined).sort()) {
      const update = { $inc: { n: 1 }, $currentDate: { at: true } } as const
      await store.keys.updateOne({ _id }, update, { upsert: true })
    }
    const [row, ...more] = rows
    // A transaction mostly pushes once: by the driver's way for many it took 1.12 times one of two plain inserts, so 1.03.
    if (row && more.length === 0) await store.rows.insertOne(row)
    else await store.rows.insertMany(rows)
  }
}

function checkKey({ key, job }: OutboxMessage): void {
  if (key === undefined || (typeof key === 'string' && key.length > 0 && key.length <= keyLengthMax)) return
  throw consistencyError('OUTBOX_KEY_INVALID', `Key of a push of ${job} is not 1 to ${keyLengthMax} characters`, {
    details: { job, length: typeof key === 'string' ? key.length : undefined, lengthMax: keyLengthMax },
  })
}

function elsewhere({ job }: OutboxMessage, got: string, expected: string) {
  return consistencyError(
    'OUTBOX_ELSEWHERE',
    `Push of ${job} came inside a transaction of ${got}, but the outbox writes to ${expected}: it could not commit with it`,
    { details: { job, got, expected } },
  )
}
