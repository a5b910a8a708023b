import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createIdempotency } from '@strata/consistency/idempotency'
import { createInbox } from '@strata/consistency/inbox'
import { createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob, type Queues, type WorkerHandle } from '@strata/queue'
import { type Gate, gate } from '@strata/testkit'
import { z } from 'zod'
import type { Told } from '../history.ts'
import type { Place } from './messages.ts'
import { names } from './names.ts'

const delivered = defineJob({
  name: 'delivered',
  input: z.object({ message: z.string() }),
  output: z.object({ stamp: z.string() }),
})

/** Of the same lane. */
const meeting = defineJob({ name: 'meeting', queue: 'delivered', input: z.object({}), output: z.object({}) })

/** What the handler leaves, each time that it has an effect. */
export interface Effect {
  readonly _id: string
  readonly message: string
}

/** Where all slots of several workers meet. */
export interface Meeting {
  readonly size: number
  begun: number
  readonly full: Gate
}

export const newMeeting = (size: number): Meeting => ({ size, begun: 0, full: gate() })

export const slotsOfWorker = 4
const askersAtOnce = 4

const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500, maxStalledCount: 5 } as const
const deliveryMs = 100_000
const meetingMs = 15_000
const askAgainMs = 50

/** Many rounds may begin on a busy machine. */
const startTimeoutMs = 20_000

const silent = () => {}
const codeOf = (error: unknown) => String(error instanceof Error && 'code' in error ? error.code : error)

/** What one process of a round has: a worker with an inbox, requests with keys, and callers that deliver. */
export class Participant implements AsyncDisposable {
  readonly #store: MongoDatasource
  readonly #db: DbContext
  readonly #place: Place
  readonly #queues: Queues
  readonly #own = new Set<string>()
  #worker: WorkerHandle | undefined

  private constructor(place: Place) {
    const { mongo, redis, name, app } = place
    this.#place = place
    this.#store = mongoDatasource({ name: 'main', url: mongo, database: name, appName: app, startTimeoutMs })
    this.#db = createDbContext({ datasources: [this.#store], levels: { max: 2 }, report: silent })
    this.#queues = createQueues({ db: this.#db, redis, prefix: name, report: silent })
  }

  static async open(place: Place): Promise<Participant> {
    const participant = new Participant(place)
    await participant.#db.start()
    await Promise.all([participant.#inbox().ensureIndexes(), participant.#keys().ensureIndexes()])
    return participant
  }

  /** How often the body ran here. */
  get runs(): number {
    return this.#own.size
  }

  /** Handles deliveries, several at once. */
  async work(meet: Meeting | undefined, onReturned: () => void = silent): Promise<void> {
    const { redis, name, guarded } = this.#place
    const lanes = { slots: slotsOfWorker }
    const worker = createWorker({ db: this.#db, redis, prefix: name, lanes, stalled, report: silent })
    this.#worker = worker
    const body = ({ message }: { message: string }) => this.#leave(message)
    const key = ({ message }: { message: string }) => message
    const plain = (input: { message: string }) => this.#db.transaction.begin(() => body(input))
    const handler = guarded ? this.#inbox().once(body, { key }) : plain
    worker.handle(delivered, async (input, context) => {
      const result = await handler(input, context)
      if (this.#own.has(result.stamp)) onReturned()
      return result
    })
    worker.handle(meeting, async () => {
      if (meet && ++meet.begun === meet.size) meet.full.open()
      await meet?.full.wait()
      return {}
    })
    await worker.start()
  }

  /** Delivers a message and waits for its result. */
  async deliver(message: string): Promise<Told> {
    try {
      const call = () => this.#queues.pushAsync(delivered, { message }, { deadlineMs: deliveryMs })
      return { message, ...(await this.#db.run(call)) }
    } catch (error) {
      return { message, code: codeOf(error) }
    }
  }

  /** Fills so many slots at once. Returns how many could not be. */
  async meet(meeting_: Meeting): Promise<number> {
    const call = () => this.#queues.pushAsync(meeting, {}, { deadlineMs: meetingMs })
    await Promise.allSettled(Array.from({ length: meeting_.size }, () => this.#db.run(call)))
    return meeting_.size - Math.min(meeting_.begun, meeting_.size)
  }

  /** Asks with the message as the key, each until it is answered, or just once. */
  async ask(deliveries: readonly string[], onTold: (told: Told) => void, repeats = true): Promise<void> {
    const waiting = [...deliveries]
    const asker = async () => {
      for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
        const told = await this.#askOne(message, repeats ? performance.now() + deliveryMs : 0)
        if (repeats || 'stamp' in told) onTold(told)
      }
    }
    await Promise.all(Array.from({ length: askersAtOnce }, asker))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.stop({ deadlineMs: 5000 })
    await this.#queues.stop({ deadlineMs: 5000 })
    await this.#db.stop({ deadlineMs: 5000 })
  }

  async #askOne(message: string, until: number): Promise<Told> {
    for (;;) {
      try {
        const asked = { key: message, request: { message } }
        const { answer } = await this.#db.run(() => this.#keys().run(asked, () => this.#leave(message)))
        return { message, ...answer }
      } catch (error) {
        const code = codeOf(error)
        if (code !== 'IDEMPOTENCY_IN_PROGRESS' || performance.now() > until) return { message, code }
        await sleep(askAgainMs)
      }
    }
  }

  /** The effect of a message. */
  async #leave(message: string): Promise<{ stamp: string }> {
    const stamp = randomUUID()
    this.#own.add(stamp)
    await this.#store.collection<Effect>(names.effects).insertOne({ _id: stamp, message })
    return { stamp }
  }

  #inbox() {
    return createInbox({ db: this.#db, datasource: this.#store })
  }

  #keys() {
    return createIdempotency({ db: this.#db, datasource: this.#store })
  }
}
