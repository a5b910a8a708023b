import { randomUUID } from 'node:crypto'
import { createOutbox, type Outbox, type OutboxOptions } from '@strata/consistency/outbox'
import { createDbContext, type DbContext, type Isolation } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, type LanesOptions, type Queues, type WorkerHandle } from '@strata/queue'
import { type Collection, type Db, type Document, MongoClient } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, inject } from 'vitest'

/** A context over the stage's database, as if in a process of its own. */
export interface Place {
  readonly db: DbContext
  readonly store: MongoDatasource
}

export interface PlaceOptions {
  readonly isolation?: Isolation
  readonly lockWaitMs?: number
}

/** What a process with an outbox has. */
export interface Process extends Place {
  readonly outbox: Outbox
  readonly queues: Queues
  worker(lanes?: LanesOptions): WorkerHandle
}

export type ProcessOptions = Partial<Omit<OutboxOptions, 'db' | 'datasource'>> & { readonly redis?: string }

/** A document of whatever shape. */
export interface PlainDocument extends Document {
  _id: string
}

/** A database and a key prefix of their own, and what is made over them. */
export class Stage {
  readonly url = inject('mongoUrl')
  readonly redis = inject('redisUrl')
  readonly reports: unknown[] = []
  database = ''
  prefix = ''
  #plain: MongoClient | undefined
  readonly #made: (() => Promise<void>)[] = []

  /** Knows nothing of Strata. */
  get outside(): Db {
    if (!this.#plain) throw new Error('Stage is not open')
    return this.#plain.db(this.database)
  }

  /** A collection as another program sees it. */
  plain(name: string): Collection<PlainDocument> {
    return this.outside.collection<PlainDocument>(name)
  }

  async open(): Promise<void> {
    this.#plain = await new MongoClient(this.url, { serverSelectionTimeoutMS: 5000 }).connect()
  }

  async close(): Promise<void> {
    await this.#plain?.close()
  }

  begin(): void {
    this.database = `consistency-${randomUUID().slice(0, 8)}`
    this.prefix = `test-${randomUUID()}`
    this.reports.length = 0
  }

  place(options: PlaceOptions = {}): Place {
    const store = mongoDatasource({ name: 'main', url: this.url, database: this.database })
    const report = (error: unknown) => void this.reports.push(error)
    const db = createDbContext({ datasources: [store], report, ...options })
    this.#made.push(() => db.stop({ deadlineMs: 2000 }))
    return { db, store }
  }

  /** A context with an outbox and queues that use it, as if in a process of their own. */
  async process({ redis = this.redis, ...options }: ProcessOptions = {}): Promise<Process> {
    const { db, store } = this.place()
    await db.start()
    const report = (error: unknown) => void this.reports.push(error)
    const outbox = createOutbox({ db, datasource: store, report, ...options })
    const queues = createQueues({ db, redis, prefix: this.prefix, outbox, report })
    this.#made.push(
      () => queues.stop({ deadlineMs: 1000 }),
      () => outbox.stop({ deadlineMs: 1000 }),
    )
    await outbox.ensureIndexes()
    return { db, store, outbox, queues, worker: lanes => this.worker(db, lanes) }
  }

  queues(db: DbContext): Queues {
    const queues = createQueues({ db, redis: this.redis, prefix: this.prefix, report: () => {} })
    this.#made.push(() => queues.stop({ deadlineMs: 1000 }))
    return queues
  }

  worker(db: DbContext, lanes: LanesOptions = {}): WorkerHandle {
    const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500, maxStalledCount: 5 }
    const worker = createWorker({ db, redis: this.redis, prefix: this.prefix, lanes, stalled, report: () => {} })
    this.#made.push(() => worker.stop({ deadlineMs: 1000 }))
    return worker
  }

  async clear(): Promise<void> {
    for (const stop of this.#made.splice(0).reverse()) await stop()
    await this.outside.dropDatabase()
  }
}

/** A stage for the tests of a file: each begins with a database of its own, which goes with what was made over it. */
export function useStage(): Stage {
  const stage = new Stage()
  beforeAll(() => stage.open())
  beforeEach(() => stage.begin())
  afterEach(() => stage.clear())
  afterAll(() => stage.close())
  return stage
}
