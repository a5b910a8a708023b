import { randomUUID } from 'node:crypto'
import { type ContextOptions, createDbContext, type DbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { inject } from 'vitest'
import {
  createQueues,
  createWorker,
  type Queues,
  type QueuesOptions,
  type WorkerHandle,
  type WorkerOptions,
} from '../src/index.ts'
import { createKeys } from '../src/keys.ts'

interface DbOptions extends Partial<Pick<ContextOptions, 'levels' | 'isolation' | 'processes' | 'lockWaitMs'>> {
  readonly datasource?: FakeDatasource
}

/** Queues and workers over one key prefix of the shared Redis, each with a context of its own, as if in processes of their own. */
export class Stage {
  readonly prefix = `test-${randomUUID()}`
  readonly redis = inject('redisUrl')
  /** What was reported and did not end anything. */
  readonly reports: string[] = []
  readonly #made: (() => Promise<void>)[] = []

  db({ datasource = new FakeDatasource(), ...options }: DbOptions = {}): DbContext {
    const db = createDbContext({ datasources: [datasource], ...options })
    this.#made.push(() => db.stop({ deadlineMs: 1000 }))
    return db
  }

  queues(db: DbContext, options: Partial<QueuesOptions> = {}): Queues {
    const queues = createQueues({ db, redis: this.redis, prefix: this.prefix, report: this.#report, ...options })
    this.#made.push(() => queues.stop({ deadlineMs: 1000 }))
    return queues
  }

  worker(db: DbContext, options: Partial<WorkerOptions> = {}): WorkerHandle {
    const worker = createWorker({ db, redis: this.redis, prefix: this.prefix, report: this.#report, ...options })
    this.#made.push(() => worker.stop({ deadlineMs: 1000 }))
    return worker
  }

  readonly #report = (error: unknown, what: string) => {
    this.reports.push(`${what}: ${error instanceof Error ? error.message : String(error)}`)
  }

  /** Registers a lane as a first call would. */
  async openLane(lane: string): Promise<void> {
    const redis = new Redis(this.redis)
    await redis.sadd(createKeys(this.prefix).lanes, lane)
    await redis.quit()
  }

  /** A plain BullMQ queue over the same prefix. */
  bullmq(name: string): Queue {
    const queue = new Queue(name, { connection: { url: this.redis }, prefix: this.prefix })
    this.#made.push(() => queue.close())
    return queue
  }

  /** Workers first, then queues, then contexts: the reverse of how a test makes them. */
  async clear(): Promise<void> {
    for (const stop of this.#made.splice(0).reverse()) await stop()
  }
}
