import { randomUUID } from 'node:crypto'
import { type ContextOptions, createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, type Queues, type WorkerHandle, type WorkerOptions } from '@strata/queue'
import { type Document, MongoClient } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, inject } from 'vitest'
import { createOutbox, type Outbox, type OutboxOptions } from '../src/outbox/index.ts'

/** What a process has: a context, queues with an outbox, all on one database and one prefix with the other processes of the test. */
export interface Process {
  readonly db: DbContext
  readonly store: MongoDatasource
  readonly outbox: Outbox
  readonly queues: Queues
  worker(options?: Partial<WorkerOptions>): WorkerHandle
}

export type ProcessOptions = Partial<Omit<OutboxOptions, 'db' | 'datasource'>> & {
  readonly redis?: string
  readonly context?: Partial<ContextOptions>
}

/** A document of whatever shape. */
export interface PlainDocument extends Document {
  _id: string
}

/** Processes of one test file, over a database and a Redis prefix of their own for each test. */
export class Stage {
  #database = ''
  #prefix = ''
  #reports: string[] = []
  readonly #made: (() => Promise<unknown>)[] = []
  #plain: MongoClient | undefined

  get database() {
    return this.#database
  }

  get prefix() {
    return this.#prefix
  }

  /** What was reported and did not end anything. */
  get reports(): readonly string[] {
    return this.#reports
  }

  /** The collection of that name, as another program sees it. */
  plain(name: string) {
    if (!this.#plain) throw new Error('The stage has not begun')
    return this.#plain.db(this.#database).collection<PlainDocument>(name)
  }

  async open(): Promise<void> {
    this.#plain = await new MongoClient(inject('mongoUrl')).connect()
  }

  begin(): void {
    this.#database = `consistency-test-${randomUUID().slice(0, 8)}`
    this.#prefix = `test-${randomUUID()}`
    this.#reports = []
  }

  async process({ redis = inject('redisUrl'), context, ...options }: ProcessOptions = {}): Promise<Process> {
    const report = (error: unknown, what: string) => void this.#reports.push(`${what}: ${String(error)}`)
    const store = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database: this.#database })
    const db = createDbContext({ datasources: [store], report, ...context })
    this.#made.push(() => db.stop({ deadlineMs: 1000 }))
    await db.start()
    const outbox = createOutbox({ db, datasource: store, report, ...options })
    const queues = createQueues({ db, redis, prefix: this.#prefix, outbox, report })
    this.#made.push(() => queues.stop({ deadlineMs: 1000 }))
    this.#made.push(() => outbox.stop({ deadlineMs: 1000 }))
    await outbox.ensureIndexes()
    const worker = (given: Partial<WorkerOptions> = {}) => {
      const made = createWorker({ db, redis, prefix: this.#prefix, report, ...given })
      this.#made.push(() => made.stop({ deadlineMs: 1000 }))
      return made
    }
    return { db, store, outbox, queues, worker }
  }

  async clear(): Promise<void> {
    for (const end of this.#made.splice(0).reverse()) await end()
    await this.#plain?.db(this.#database).dropDatabase()
  }

  async close(): Promise<void> {
    await this.#plain?.close()
  }
}

export function useStage(): Stage {
  const stage = new Stage()
  beforeAll(() => stage.open())
  beforeEach(() => stage.begin())
  afterEach(() => stage.clear())
  afterAll(() => stage.close())
  return stage
}
