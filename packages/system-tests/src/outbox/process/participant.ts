import { randomUUID } from 'node:crypto'
import { createInbox } from '@strata/consistency/inbox'
import { createOutbox, type Outbox } from '@strata/consistency/outbox'
import { createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob, type Queues } from '@strata/queue'
import { z } from 'zod'
import type { Kept, Told } from '../history.ts'
import type { OutboxPlan } from '../plan.ts'
import type { Place } from './messages.ts'

export const names = { kept: 'kept', counters: 'counters', effects: 'effects', rows: 'strata.outbox' } as const

export const followed = defineJob({
  name: 'followed',
  input: z.object({ push: z.string() }),
  output: z.object({}),
})

/** Short, so that a round is: who takes over waits for the lease, and for a row to be its own process's no more. */
const pace = { leaseMs: 1000, pollMs: 50, graceMs: 1000 } as const

/** A commit that conflicts with the same few keys all the time may take many turns. */
const transactionMs = 30_000

/** While a server is replaced a handler may fail; what it was given must not be lost by that. */
const again = { attempts: 50, backoff: { type: 'fixed', delay: 200 } } as const
const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500, maxStalledCount: 10 } as const

class Refused extends Error {}

export interface Counter {
  readonly _id: string
  readonly n: number
}

/** What the handler leaves, each time that it has an effect. */
export interface Effect {
  readonly _id: string
  readonly push: string
}

const silent = () => {}

/** What one process of a round has: transactions that push, and an outbox that publishes or relays. */
export class Participant implements AsyncDisposable {
  readonly #store: MongoDatasource
  readonly outbox: Outbox
  readonly db: DbContext
  readonly queues: Queues
  readonly #place: Place
  #seen = 0

  private constructor(place: Place, onPublishing: () => void) {
    const { mongo, redis, name, wired } = place
    this.#place = place
    this.#store = mongoDatasource({ name: 'main', url: mongo, database: name, appName: name })
    this.db = createDbContext({ datasources: [this.#store], levels: { max: 1 }, report: silent })
    this.outbox = createOutbox({ db: this.db, datasource: this.#store, report: silent, ...pace })
    const { append, connect } = this.outbox
    const outbox: Pick<Outbox, 'append' | 'connect'> = {
      append,
      connect: publisher =>
        connect({
          publish: messages => {
            this.#seen += messages.length
            onPublishing()
            return publisher.publish(messages)
          },
          ended: messages => publisher.ended(messages),
        }),
    }
    this.queues = createQueues({ db: this.db, redis, prefix: name, report: silent, ...(wired && { outbox }) })
  }

  static async open(place: Place, onPublishing: () => void = silent): Promise<Participant> {
    const participant = new Participant(place, onPublishing)
    await participant.db.start()
    await participant.outbox.ensureIndexes()
    if (!place.publishes) await participant.outbox.stop()
    return participant
  }

  /** Rows that went through its publisher. */
  get published(): number {
    return this.#seen
  }

  relay(): void {
    this.outbox.start()
  }

  /** Runs all to their ends, so many at once. */
  async commit(plans: readonly OutboxPlan[], callers: number, onEnd: (told: Told) => void): Promise<void> {
    const waiting = [...plans]
    const caller = async () => {
      for (let plan = waiting.shift(); plan; plan = waiting.shift()) onEnd(await this.#commitOne(plan))
    }
    await Promise.all(Array.from({ length: callers }, caller))
  }

  /** A handler with an inbox: it is called as often as the job comes, and has its effect once. */
  async work(onRun: (push: string) => void): Promise<AsyncDisposable> {
    const { redis, name } = this.#place
    const worker = createWorker({ db: this.db, redis, prefix: name, stalled, report: silent })
    const effects = this.#store.collection<Effect>(names.effects)
    const inbox = createInbox({ db: this.db, datasource: this.#store })
    await inbox.ensureIndexes()
    const once = inbox.once(async ({ push }: { push: string }) => {
      await effects.insertOne({ _id: randomUUID(), push })
      return {}
    })
    worker.handle(followed, (input, context) => {
      onRun(input.push)
      return once(input, context)
    })
    await worker.start()
    return { [Symbol.asyncDispose]: () => worker.stop({ deadlineMs: 5000 }) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.outbox.stop()
    await this.queues.stop({ deadlineMs: 5000 })
    await this.db.stop({ deadlineMs: 5000 })
  }

  async #commitOne(plan: OutboxPlan): Promise<Told> {
    const { run, transaction } = this.db
    try {
      await run(() => transaction.begin(() => this.#body(plan), { deadlineMs: transactionMs, name: plan.id }))
      return { transaction: plan.id, outcome: 'applied' }
    } catch (error) {
      const outcome = error instanceof Error && 'outcome' in error ? (error.outcome as Told['outcome']) : 'not-applied'
      return { transaction: plan.id, outcome }
    }
  }

  async #body({ id, key, pushes, isRefused }: OutboxPlan): Promise<void> {
    for (let index = 0; index < pushes; index += 1) {
      const seq = key === undefined ? 0 : await this.#next(key)
      const _id = `${id}.${index}`
      const order = key === undefined || !this.#place.wired ? {} : { key }
      // BullMQ forgets the job as soon as it has ended: what is sent again is run again, and the inbox has to tell.
      const { id: job } = await this.queues.push(
        followed,
        { push: _id },
        { ...order, ...again, removeOnComplete: true },
      )
      const kept: Kept = { _id, transaction: id, job, seq, ...(key !== undefined && { key }) }
      await this.#store.collection<Kept>(names.kept).insertOne(kept)
    }
    if (isRefused) throw new Refused('the body refuses')
  }

  /** Transactions of one key conflict here, so these numbers are the order in which they commit, told by nothing of the outbox. */
  async #next(key: string): Promise<number> {
    const counters = this.#store.collection<Counter>(names.counters)
    const counter = await counters.findOneAndUpdate({ _id: key }, { $inc: { n: 1 } }, { returnDocument: 'after' })
    return counter?.n ?? 0
  }
}
