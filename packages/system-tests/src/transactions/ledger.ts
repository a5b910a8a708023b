import type { Db } from 'mongodb'
import type { Found } from './history.ts'
import type { TransactionPlan } from './plan.ts'

/** Raised by one by each transaction. */
export interface Counter {
  _id: string
  n: number
}

/** Inserted by each transaction, under an id of its own each time. */
export interface Entry {
  _id: string
  transaction: string
}

export const names = { counters: 'counters', entries: 'entries' } as const
export const sharedId = 'shared'

/** The data as they are outside every transaction. */
export class Ledger {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  get #counters() {
    return this.#db.collection<Counter>(names.counters)
  }

  async prepare(plans: readonly TransactionPlan[]): Promise<void> {
    const ids = [sharedId, ...plans.map(({ id }) => id)]
    await this.#counters.insertMany(ids.map(_id => ({ _id, n: 0 })))
    await this.#db.createCollection(names.entries)
  }

  async count(level: 'local' | 'majority'): Promise<number> {
    const entries = this.#db.collection<Entry>(names.entries)
    return (await entries.find({}, { readConcern: { level } }).toArray()).length
  }

  /** What a majority has, of the server that is the primary now. */
  async read(): Promise<{ found: Map<string, Found>; sharedCounter: number }> {
    const counters = new Map((await this.#counters.find().toArray()).map(({ _id, n }) => [_id, n]))
    const entries = await this.#db.collection<Entry>(names.entries).find().toArray()
    const documents = Map.groupBy(entries, ({ transaction }) => transaction)
    const found = [...counters].map(
      ([id, counter]) => [id, { counter, documents: documents.get(id)?.length ?? 0 }] as const,
    )
    return { found: new Map(found), sharedCounter: counters.get(sharedId) ?? 0 }
  }
}
