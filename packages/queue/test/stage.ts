import { randomUUID } from 'node:crypto'
import { type ContextOptions, createDbContext, type DbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeEach, inject } from 'vitest'
import {
  createQueues,
  createWorker,
  type Queues,
  type QueuesOptions,
  type WorkerHandle,
  type WorkerOptions,
} from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import type { Report } from '../src/report.ts'

interface DbOptions extends Partial<Pick<ContextOptions, 'levels' | 'isolation' | 'processes' | 'lockWaitMs'>> {
  readonly datasource?: FakeDatasource
}

const newPrefix = () => `test-${randomUUID()}`

/** Queues and workers over one key prefix of the shared Redis, each with a context of its own, as if in processes of their own. */
export class Stage {
  readonly redis = inject('redisUrl')
  #prefix = newPrefix()
  #reports: string[] = []
  readonly #made: (() => Promise<void>)[] = []

  get prefix(): string {
    return this.#prefix
  }

  /** What was reported and did not end anything. */
  get reports(): readonly string[] {
    return this.#reports
  }

  /** Begins the next test: what an earlier one left behind neither shares its keys nor reports to it. */
  begin(): void {
    this.#prefix = newPrefix()
    this.#reports = []
  }

  db({ datasource = new FakeDatasource(), ...options }: DbOptions = {}): DbContext {
    const db = createDbContext({ datasources: [datasource], ...options })
    this.#made.push(() => db.stop({ deadlineMs: 1000 }))
    return db
  }

  queues(db: DbContext, options: Partial<QueuesOptions> = {}): Queues {
    const queues = createQueues({ db, redis: this.redis, prefix: this.prefix, report: this.#report(), ...options })
    this.#made.push(() => queues.stop({ deadlineMs: 1000 }))
    return queues
  }

  worker(db: DbContext, options: Partial<WorkerOptions> = {}): WorkerHandle {
    const worker = createWorker({ db, redis: this.redis, prefix: this.prefix, report: this.#report(), ...options })
    this.#made.push(() => worker.stop({ deadlineMs: 1000 }))
    return worker
  }

  #report(): Report {
    const reports = this.#reports
    return (error, what) => reports.push(`${what}: ${error instanceof Error ? error.message : String(error)}`)
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

/** A stage for the tests of a file: each begins with a prefix of its own, and what it made is stopped after it. */
export function useStage(): Stage {
  const stage = new Stage()
  beforeEach(() => stage.begin())
  afterEach(() => stage.clear())
  return stage
}

/** A plain connection to the same Redis, for the tests of a file. */
export function useRedis(): Redis {
  const redis = new Redis(inject('redisUrl'), { lazyConnect: true })
  afterAll(() => redis.disconnect())
  return redis
}
