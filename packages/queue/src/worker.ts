import { type DbContext, dbContextError } from '@strata/db-context'
import type { Handler, Handling } from './handlers.ts'
import type { JobDefinition } from './job-definition.ts'
import { type LanesOptions, readLaneSettings } from './lane-settings.ts'
import type { LaneState } from './lane-state.ts'
import { checkCount, checkWaitMs } from './limits.ts'
import { observeLanes } from './metrics.ts'
import { checkPayloadBytesMax } from './payload.ts'
import { type RedisTarget, readRedisTarget } from './redis.ts'
import { type Report, warn } from './report.ts'
import type { RunningJob } from './run.ts'
import { Serving } from './serving.ts'

export interface WorkerOptions {
  readonly db: Pick<DbContext, 'propagator'>
  readonly redis: RedisTarget
  /** The same as the queues'; default `strata`. */
  readonly prefix?: string
  /** Slots (default 10) and rate limits of each lane, and of the lanes of some queues. */
  readonly lanes?: LanesOptions
  /**
   * A job whose worker is gone is run again after at most `lockDurationMs` + `stalledIntervalMs`: 10,000 and 4,000 by default,
   * up to `maxStalledCount` times (1).
   */
  readonly stalled?: {
    readonly lockDurationMs?: number
    readonly stalledIntervalMs?: number
    readonly maxStalledCount?: number
  }
  /**
   * How long a handler may go on once its signal is aborted, at its deadline or because its caller gave it up: default 5,000 ms,
   * at most 60,000. After it the slot goes to others, and the leak is reported and counted (`strata.queue.leaks`).
   */
  readonly graceMs?: number
  /** The largest input that is run and result that is sent, in bytes of JSON; default 1,048,576 (1 MiB). */
  readonly payloadBytesMax?: number
  /** Receives what must not end the worker. Default: a process warning. */
  readonly report?: Report
}

export interface StopWorkerOptions {
  /** Milliseconds until what still runs is aborted and handed back to the queue; default 10,000. */
  readonly deadlineMs?: number
  /**
   * **Unsafe**: closes all lanes at once, so that a running job that awaits a call which only this process serves waits until the
   * deadline. Kept to show why the order matters.
   */
  readonly unsafeAllAtOnce?: boolean
}

/**
 * Serves jobs. Connections to Redis: two, and up to four a lane.
 *
 * Guaranteed: each queue has a lane for pushes and one a level for calls, with slots of their own, so that an awaiting job never
 * occupies the slot its call needs. A lane opens within milliseconds of its first call and stays. Jobs run at least once.
 */
export interface WorkerHandle extends AsyncDisposable {
  /** Sets the handler of a job, before `start`. @throws CONFIG */
  handle<J extends JobDefinition>(job: J, handler: Handler<J>): void
  /** Resolves when every queue is served. Idempotent. @throws REDIS_UNREACHABLE within 5 s, REDIS_SETTING, CONNECTION_BUDGET, QUEUE_STOPPED, CONFIG where live
   * processes have other levels or isolation */
  start(): Promise<void>
  /**
   * Takes no more pushes and lets those that run end; then calls, from shallow to deep, so that what a running job awaits is
   * served until the end. At the deadline what still runs is aborted and handed back to the queue. Works while Redis is away. A
   * second stop with an earlier deadline cuts the first short; otherwise idempotent. Allowed before `start`.
   *
   * @throws CONFIG for a `deadlineMs` that is no number from 0 to a day
   */
  stop(options?: StopWorkerOptions): Promise<void>
  /** The lanes of this process; `waiting` counts the jobs of all processes. @throws REDIS_TIMEOUT after 2 s */
  lanes(): Promise<LaneState[]>
  /** The jobs that run in this process. */
  activities(): RunningJob[]
}

const graceMsDefault = 5000

const stopDeadlineMsDefault = 10_000

/** Makes a worker; it opens nothing before `start`. @throws CONFIG */
export function createWorker(options: WorkerOptions): WorkerHandle {
  const { stalled = {}, report = warn } = options
  const { graceMs = graceMsDefault } = options
  expectGrace(graceMs)
  const serving = new Serving(readRedisTarget(options.redis, options.prefix), {
    propagator: options.db.propagator,
    laneSettings: readLaneSettings(options.lanes),
    graceMs,
    payloadBytesMax: checkPayloadBytesMax(options.payloadBytesMax),
    fetcher: {
      lockDurationMs: checkWaitMs('stalled.lockDurationMs', stalled.lockDurationMs ?? 10_000, 1),
      // With the lock a second less than the 15 s in which a job is to be taken over: to find it and to begin take time too.
      stalledIntervalMs: checkWaitMs('stalled.stalledIntervalMs', stalled.stalledIntervalMs ?? 4000, 1),
      maxStalledCount: checkCount('stalled.maxStalledCount', stalled.maxStalledCount ?? 1, { min: 0, max: 1000 }),
    },
    report,
  })
  const unobserve = observeLanes(
    () => serving.readings,
    () => serving.lanes(),
  )
  const worker: WorkerHandle = {
    handle: (job, handler) => serving.handle({ job, handler: handler as Handling['handler'] }),
    start: () => serving.start(),
    stop: async ({ deadlineMs = stopDeadlineMsDefault, unsafeAllAtOnce = false } = {}) => {
      checkWaitMs('deadlineMs', deadlineMs, 0)
      unobserve()
      await serving.stop({ deadlineMs, allAtOnce: unsafeAllAtOnce })
    },
    lanes: () => serving.lanes(),
    activities: () => serving.running,
    [Symbol.asyncDispose]: () => worker.stop(),
  }
  return worker
}

function expectGrace(graceMs: number): void {
  if (graceMs >= 0 && graceMs <= 60_000) return
  throw dbContextError('CONFIG', `Option graceMs is ${graceMs}, expected 0 to 60000 ms`, {
    details: { option: 'graceMs', got: graceMs },
  })
}
