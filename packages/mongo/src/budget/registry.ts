import type { Collection, Document, MongoClient } from 'mongodb'
import { codeOf } from '../classify.ts'
import { type Claimant, reservedBy } from './reservation.ts'

/** How long a process counts after its last sign of life, by the server's clock. */
const leaseMs = 15_000

const triesMax = 5
const maxTimeMs = 5000
const duplicateKey = 11_000

/** One process of one store and the connections that it may open. */
export interface Entry extends Claimant {
  readonly host: string
  readonly pid: number
}

interface Book extends Document {
  _id: 'connections'
  processes: Entry[]
}

/**
 * Which live processes may open how many connections, kept in the store itself. All of it is one document: the server
 * changes a document as a whole, so adding up and getting in are one step, and two processes can never both take the last
 * room. Entries expire by the server's clock, whatever the clocks of the processes say.
 */
export class Registry {
  readonly #books: Collection<Book>

  constructor(client: MongoClient) {
    this.#books = client.db('strata').collection<Book>('processes')
  }

  /**
   * Gets in if all live entries and this one, with the processes that they declare, fit into `limit`. Entering again replaces
   * one's own entry.
   */
  async enter(entry: Entry, limit: number): Promise<{ readonly isIn: boolean; readonly others: readonly Entry[] }> {
    const both = { $let: { vars: { all: withEntry(entry) }, in: reservedBy('$$all') } }
    const book = await this.#change(entry._id, { $cond: [{ $lte: [both, limit] }, withEntry(entry), '$processes'] })
    const others = book.processes.filter(({ _id }) => _id !== entry._id)
    return { isIn: others.length < book.processes.length, others }
  }

  /** Keeps an entry alive, and puts it back where it had expired: its connections are in use all the same. */
  async renew(entry: Entry): Promise<void> {
    await this.#change(entry._id, withEntry(entry))
  }

  async leave(id: string): Promise<void> {
    await this.#change(id, '$processes')
  }

  /** Drops what has expired, and one's own entry, then sets `processes` to the expression. */
  async #change(id: string, processes: unknown): Promise<Book> {
    const isOther = { $and: [{ $gt: ['$$this.expiresAt', '$$NOW'] }, { $ne: ['$$this._id', id] }] }
    const live = { $filter: { input: { $ifNull: ['$processes', []] }, cond: isOther } }
    for (let tries = 1; ; tries += 1) {
      try {
        const book = await this.#books.findOneAndUpdate(
          { _id: 'connections' },
          [{ $set: { processes: live } }, { $set: { processes } }],
          { upsert: true, returnDocument: 'after', maxTimeMS: maxTimeMs },
        )
        return book ?? { _id: 'connections', processes: [] }
      } catch (error) {
        // Two first processes at once: both would insert the document, and one of them finds it there.
        if (codeOf(error) !== duplicateKey || tries === triesMax) throw error
      }
    }
  }
}

const withEntry = (entry: Entry) => ({
  $concatArrays: [
    '$processes',
    [{ $mergeObjects: [{ $literal: entry }, { expiresAt: { $add: ['$$NOW', leaseMs] } }] }],
  ],
})
