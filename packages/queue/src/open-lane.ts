import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { within } from './bound.ts'
import { Fetcher } from './fetcher.ts'
import { kept } from './kept.ts'
import { fetcherSlots, type Lane } from './lane.ts'
import type { LaneSettings } from './lane-settings.ts'
import { stalls } from './metrics.ts'
import { outside } from './outside.ts'
import type { Report } from './report.ts'
import type { Runner } from './runner.ts'

const readyMsMax = 1000
const dropMsMax = 500

/** After a failed fetch. BullMQ's own 15 s would be felt by every caller after a failover. */
const retryMs = 1000

/** BullMQ's options for the fetchers of every lane, apart from those that make a lane what it is. */
export interface FetcherOptions {
  readonly prefix: string
  /** True where the server denies INFO. */
  readonly skipVersionCheck: boolean
  readonly lockDurationMs: number
  readonly stalledIntervalMs: number
  readonly maxStalledCount: number
  readonly payloadBytesMax: number
}

/** The fetchers of one lane in this process, sharing its slots. */
export class OpenLane {
  readonly lane: Lane
  readonly slots: number
  readonly #runner: Runner
  readonly #fetchers: readonly Fetcher[]
  #active = 0
  #isReady = false

  constructor(
    lane: Lane,
    runner: Runner,
    options: LaneSettings & { redis: Redis; fetcher: FetcherOptions; report: Report },
  ) {
    this.lane = lane
    const { limiter } = options
    this.slots = options.slots
    this.#runner = runner
    const { prefix, skipVersionCheck, lockDurationMs, stalledIntervalMs, maxStalledCount, payloadBytesMax } =
      options.fetcher
    // BullMQ hands a signal only to a processor that declares three parameters.
    const processor = (job: Job, token?: string, signal?: AbortSignal) => this.#run(job, token, signal)
    this.#fetchers = fetcherSlots(options.slots).map(concurrency =>
      outside(() => {
        const fetcher = new Fetcher(lane.name, processor, {
          connection: options.redis,
          prefix,
          skipVersionCheck,
          concurrency,
          ...(limiter ? { limiter: { max: limiter.max, duration: limiter.durationMs } } : {}),
          lockDuration: lockDurationMs,
          stalledInterval: stalledIntervalMs,
          maxStalledCount,
          ...(lane.kind === 'call' ? { removeOnComplete: kept, removeOnFail: kept } : {}),
          runRetryDelay: retryMs,
          payloadBytesMax,
        })
        fetcher.on('stalled', id => {
          stalls.add(1, { lane: lane.name, queue: lane.queue, level: lane.level })
          options.report(jobStalled(id, lockDurationMs), `Lane ${lane.name}`)
        })
        return fetcher.on('error', error => options.report(error, `Lane ${lane.name}`))
      }),
    )
  }

  get active(): number {
    return this.#active
  }

  /** Resolves when every fetcher can take a job. */
  async ready(): Promise<void> {
    await Promise.all(this.#fetchers.map(fetcher => fetcher.waitUntilReady()))
    this.#isReady = true
  }

  /** Takes no more jobs and resolves when those that run have ended. */
  async close(): Promise<void> {
    // Closing BullMQ's worker while it still connects leaves a rejection that nobody can catch.
    if (!this.#isReady) await within(readyMsMax, this.ready()).catch(() => {})
    await Promise.all(this.#fetchers.map(fetcher => fetcher.close()))
  }

  /** Lets go of the connections although jobs may still run, as when Redis is away. */
  async drop(): Promise<void> {
    const closing = this.#fetchers.map(fetcher => fetcher.getBackend().close(true))
    await within(dropMsMax, Promise.allSettled(closing))
  }

  async #run(job: Job, token: string | undefined, signal: AbortSignal | undefined): Promise<unknown> {
    this.#active += 1
    try {
      return await this.#runner.run(this.lane, job, { token, signal })
    } finally {
      this.#active -= 1
    }
  }
}

const jobStalled = (id: string, lockMs: number) =>
  new Error(
    `Job ${id} stalled: its worker is gone, or its event loop was blocked for longer than the lock of ${lockMs} ms. It is run ` +
      'again, or fails where it has stalled too often',
  )
