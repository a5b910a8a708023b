import type { Binary, Collection, Document, MongoClient } from 'mongodb'

const maxTimeMs = 5000

/** The sessions that one process runs transactions in. */
export interface SessionEntry extends Document {
  readonly _id: string
  readonly host: string
  readonly pid: number
  readonly sessions: readonly Binary[]
  readonly expiresAt: Date
}

/** Whose session ids are which, kept in the store itself; entries expire by the server's clock. */
export class SessionBook {
  readonly #entries: Collection<SessionEntry>
  readonly #client: MongoClient

  constructor(client: MongoClient) {
    this.#client = client
    this.#entries = client.db('strata').collection<SessionEntry>('sessions')
  }

  /** Writes a process's entry as it is to be, whether it is there or not. */
  async write(entry: Omit<SessionEntry, 'expiresAt'>, leaseMs: number): Promise<void> {
    const { _id, ...rest } = entry
    await this.#entries.updateOne(
      { _id },
      [{ $set: { ...rest, sessions: { $literal: rest['sessions'] }, expiresAt: after(leaseMs) } }],
      { upsert: true, maxTimeMS: maxTimeMs },
    )
  }

  /** False when the entry is gone: somebody took the process for dead. */
  async add(id: string, session: Binary): Promise<boolean> {
    const update = { $addToSet: { sessions: session } }
    const { matchedCount } = await this.#entries.updateOne({ _id: id }, update, { maxTimeMS: maxTimeMs })
    return matchedCount > 0
  }

  /** False when the entry is gone. */
  async renew(id: string, leaseMs: number): Promise<boolean> {
    const update = [{ $set: { expiresAt: after(leaseMs) } }]
    const { matchedCount } = await this.#entries.updateOne({ _id: id }, update, { maxTimeMS: maxTimeMs })
    return matchedCount > 0
  }

  async remove(id: string): Promise<void> {
    await this.#entries.deleteOne({ _id: id }, { maxTimeMS: maxTimeMs })
  }

  /** Ends the transactions of every process whose entry has expired, and forgets it. @returns the ids of those processes */
  async killExpired(): Promise<string[]> {
    const isExpired = { $expr: { $lt: ['$expiresAt', '$$NOW'] } }
    const expired = await this.#entries.find(isExpired, { maxTimeMS: maxTimeMs }).toArray()
    for (const { _id, sessions, expiresAt } of expired) {
      const ids = sessions.map(id => ({ id }))
      if (ids.length > 0) await this.#client.db('admin').command({ killSessions: ids, maxTimeMS: maxTimeMs })
      // One that has come back meanwhile has written itself a new one.
      await this.#entries.deleteOne({ _id, expiresAt }, { maxTimeMS: maxTimeMs })
    }
    return expired.map(({ _id }) => _id)
  }
}

const after = (ms: number) => ({ $add: ['$$NOW', ms] })
