import { randomUUID } from 'node:crypto'
import { createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob, type Queues, type WorkerHandle } from '@strata/queue'
import { z } from 'zod'
import { LedgerRefused, readError, type Story } from './history.ts'
import { type Counter, type Entry, names, sharedId } from './ledger.ts'

/** Whoever runs the transactions of a round. */
export interface Participant {
  /** Runs one to its end and writes down how it ended; never rejects. */
  run(story: Story): Promise<void>
  /** What it still holds, in words; nothing when all is given back. */
  held(): Promise<string[]>
  /** Ends what may still run for transactions that are over. */
  settle(): Promise<void>
  close(): Promise<void>
}

export interface Place {
  readonly url: string
  readonly database: string
  readonly appName: string
  readonly redisUrl: string
  /** Called when a body has done all that it does before the commit. */
  readonly onBody: () => void
}

const effect = defineJob({
  name: 'effect',
  input: z.object({ id: z.string(), call: z.number() }),
  output: z.string(),
})

/** What a server answers late is waited for so long; a try on a silent connection ends 10 s later. */
const operationTimeoutMs = 1000

/** Transactions of Strata, with jobs and hooks, in this process. */
export class StrataParticipant implements Participant {
  readonly #place: Place
  readonly #stories = new Map<string, Story>()
  readonly #store: MongoDatasource
  readonly #db: DbContext
  readonly #queues: Queues
  readonly #worker: WorkerHandle

  private constructor(place: Place, poolMax: number) {
    const { url, database, appName, redisUrl } = place
    this.#place = place
    this.#store = mongoDatasource({ name: 'main', url, database, appName, operationTimeoutMs, pool: { max: poolMax } })
    this.#db = createDbContext({ datasources: [this.#store], levels: { max: 1 }, report: () => {} })
    const shared = { db: this.#db, redis: redisUrl, prefix: database, report: () => {} }
    this.#queues = createQueues(shared)
    this.#worker = createWorker(shared)
    this.#worker.handle(effect, async ({ id, call }) => {
      const stamp = randomUUID()
      this.#stories.get(id)?.jobs[call]?.push(stamp)
      return stamp
    })
  }

  static async open(place: Place, poolMax: number): Promise<StrataParticipant> {
    const participant = new StrataParticipant(place, poolMax)
    await participant.#db.start()
    await participant.#worker.start()
    return participant
  }

  async run(story: Story): Promise<void> {
    const { id, deadlineMs } = story.plan
    const { transaction, run } = this.#db
    this.#stories.set(id, story)
    const since = performance.now()
    const end = await run(() => transaction.begin(() => this.#body(story), { deadlineMs, name: id })).then(
      () => ({ outcome: 'applied', code: undefined }) as const,
      readError,
    )
    story.ended = { ...end, ranMs: performance.now() - since }
  }

  async #body(story: Story): Promise<void> {
    const { id, calls, isShared, isRefused } = story.plan
    story.bodies += 1
    this.#db.transaction.afterCommit(() => story.hooks.push('afterCommit'))
    this.#db.transaction.afterRollback(() => story.hooks.push('afterRollback'))
    const counters = this.#store.collection<Counter>(names.counters)
    await counters.updateOne({ _id: id }, { $inc: { n: 1 } })
    const results: string[] = []
    for (let call = 0; call < calls; call += 1) results.push(await this.#queues.pushAsync(effect, { id, call }))
    story.results = results
    await this.#store.collection<Entry>(names.entries).insertOne({ _id: randomUUID(), transaction: id })
    if (isShared) await counters.updateOne({ _id: sharedId }, { $inc: { n: 1 } })
    this.#place.onBody()
    if (isRefused) throw new LedgerRefused('the body refuses')
  }

  async held(): Promise<string[]> {
    const pools = this.#db.pools().filter(({ inUse, waiting }) => inUse + waiting > 0)
    return [
      ...pools.map(({ level, inUse, waiting }) => `the pool of level ${level}: ${inUse} in use, ${waiting} waiting`),
      ...this.#db.activities().map(({ what, phase }) => `an activity: ${what}, ${phase}`),
      ...this.#queues.waiting().map(call => `a call that waits: ${JSON.stringify(call)}`),
      ...this.#worker.activities().map(job => `a job that runs: ${JSON.stringify(job)}`),
    ]
  }

  async settle(): Promise<void> {
    await this.#worker.stop({ deadlineMs: 5000 })
    await this.#queues.stop({ deadlineMs: 5000 })
  }

  async close(): Promise<void> {
    await this.settle()
    await this.#db.stop({ deadlineMs: 5000 })
  }
}
