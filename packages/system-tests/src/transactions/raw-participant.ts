import { randomUUID } from 'node:crypto'
import { type ClientSession, MongoClient } from 'mongodb'
import { LedgerRefused, readError, type Story } from './history.ts'
import { type Counter, type Entry, names, sharedId } from './ledger.ts'
import type { Participant, Place } from './participant.ts'

/** What an error of a commit is taken for: the end, or a reason to run the body again. */
export type Belief = 'failed' | 'runs-again'

const attemptsMax = 3

/**
 * The raw driver as it is usually written: begin, the body, commit, and one `catch` around the three. It shows what the rounds are
 * about, and that the checker finds it.
 */
export class RawParticipant implements Participant {
  readonly #place: Place
  readonly #client: MongoClient
  readonly #belief: Belief

  constructor(place: Place, belief: Belief) {
    this.#place = place
    this.#belief = belief
    this.#client = new MongoClient(place.url, { appName: place.appName, socketTimeoutMS: 11_000 })
  }

  async run(story: Story): Promise<void> {
    const since = performance.now()
    for (;;) {
      const end = await this.#attempt(story).then(() => ({ outcome: 'applied', code: undefined }) as const, readError)
      const isOver = this.#belief === 'failed' || story.bodies >= attemptsMax || story.plan.isRefused
      if (end.code !== undefined && !isOver) continue
      story.hooks.push(end.code === undefined ? 'afterCommit' : 'afterRollback')
      story.ended = { ...end, ranMs: performance.now() - since }
      return
    }
  }

  async #attempt(story: Story): Promise<void> {
    const session = this.#client.startSession()
    try {
      session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority' } })
      await this.#body(story, session)
      await session.commitTransaction()
    } catch (error) {
      if (session.inTransaction()) await session.abortTransaction()
      throw error
    } finally {
      await session.endSession()
    }
  }

  async #body(story: Story, session: ClientSession): Promise<void> {
    const { id, isShared, isRefused } = story.plan
    const db = this.#client.db(this.#place.database)
    story.bodies += 1
    await db.collection<Counter>(names.counters).updateOne({ _id: id }, { $inc: { n: 1 } }, { session })
    await db.collection<Entry>(names.entries).insertOne({ _id: randomUUID(), transaction: id }, { session })
    if (isShared)
      await db.collection<Counter>(names.counters).updateOne({ _id: sharedId }, { $inc: { n: 1 } }, { session })
    this.#place.onBody()
    if (isRefused) throw new LedgerRefused('the body refuses')
  }

  async held(): Promise<string[]> {
    return []
  }

  async settle(): Promise<void> {}

  async close(): Promise<void> {
    await this.#client.close()
  }
}
