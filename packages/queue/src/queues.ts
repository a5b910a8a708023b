import type { DbContext } from '@strata/db-context'
import type { Queue } from 'bullmq'
import type { WaitingCall } from './call.ts'
import { Caller } from './caller.ts'
import type { JobDefinition, JobInput, JobResult } from './job-definition.ts'
import { type LaneState, readLanesInTime } from './lane-state.ts'
import { checkCount, checkWaitMs } from './limits.ts'
import { observeCalls } from './metrics.ts'
import type { Outbox } from './outbox.ts'
import { checkPayloadBytesMax } from './payload.ts'
import { QueuePublisher } from './publisher.ts'
import { type PushOptions, push } from './push.ts'
import { type PushAsyncOptions, pushAsync } from './push-async.ts'
import type { Pushed } from './pushed.ts'
import { type RedisTarget, readRedisTarget } from './redis.ts'
import { type Report, warn } from './report.ts'

export interface QueuesOptions {
  readonly db: Pick<DbContext, 'propagator'>
  readonly redis: RedisTarget
  /** Begins every Redis key; default `strata`. For Redis Cluster with a hash tag, `{strata}`. The workers need the same. */
  readonly prefix?: string
  /** The longest wait of a call that names none, nor its job; default 30,000 ms, 1 ms to a day. */
  readonly callDeadlineMs?: number
  /** How many calls of this process may wait at once; default 10,000. One more is refused at once with CALLS_LIMIT. */
  readonly callsMax?: number
  /** The largest input, in bytes of JSON; default 1,048,576 (1 MiB). The workers have the same limit, for results too. */
  readonly payloadBytesMax?: number
  /**
   * Keeps what a transaction pushes until it commits, and sends it then, whichever process is left to do so. Without one it is sent
   * after the commit by this process, and lost if the process is killed in between, or ends with `COMMIT_UNKNOWN`.
   */
  readonly outbox?: Outbox
  /** Receives what must not end a call: a connection that dropped, a reply that cannot be read. Default: a process warning. */
  readonly report?: Report
}

/**
 * Sends jobs. It uses two Redis connections, opened on first use or by `start`.
 *
 * Guaranteed: a call always ends, by its deadline and a second, with the job's result, the job's error, or an error that says
 * whether the job was applied. Jobs run at least once. Not guaranteed: exactly once (make handlers idempotent), and that a call
 * is undone when its caller rolls back.
 */
export interface Queues extends AsyncDisposable {
  /** Connects now rather than at the first job. @throws REDIS_UNREACHABLE within 5 s, REDIS_SETTING, CONNECTION_BUDGET, CONFIG where live processes have other levels or isolation */
  start(): Promise<void>
  /**
   * Sends a job and does not wait for it. It runs at level 1 as a chain of its own (a job that pushes itself again must not sink
   * a level each time). In a transaction it is sent after the commit, and never if that does not come.
   *
   * @throws INPUT_INVALID, PAYLOAD_TOO_LARGE, LEVEL_LIMIT, LEVEL_INVALID, LEVEL_ORDER, REDIS_UNREACHABLE, QUEUE_STOPPED (`not-applied`), SEND_FAILED,
   * REDIS_TIMEOUT (`unknown`)
   */
  push<J extends JobDefinition>(job: J, data: JobInput<J>, options?: PushOptions): Promise<Pushed<JobResult<J>>>
  /**
   * Sends a job at once, also inside a transaction, and waits for its result; it runs one level deeper. It is not undone by a
   * rollback of the caller. Where the body of a transaction runs again, its calls get what they had come to: no job runs twice for
   * it, unless it failed.
   *
   * @throws the handler's own StrataError, or JOB_FAILED (`unknown`); LEVEL_LIMIT, LEVEL_ORDER, LEVEL_INVALID, HOLD_AND_WAIT,
   * CONTEXT_MISSING, CONTEXT_ENDED, INPUT_INVALID, PAYLOAD_TOO_LARGE, OPTION_REFUSED, CALLS_LIMIT, REDIS_UNREACHABLE, QUEUE_STOPPED,
   * CALL_EXPIRED, LANE_UNSERVED, HANDLER_MISSING, RETRY_DIVERGED, LOCK_TIMEOUT (`not-applied`);
   * CALL_TIMEOUT and CALL_ABORTED (`not-applied` or `unknown`, never a guess); RESULT_LOST, SEND_FAILED (`unknown`); RESULT_INVALID (`applied`)
   */
  pushAsync<J extends JobDefinition>(job: J, data: JobInput<J>, options?: PushAsyncOptions): Promise<JobResult<J>>
  /** BullMQ's queue of a job's pushes: schedulers, bulk, counts, pause. It is closed with these queues. */
  queue(job: JobDefinition): Queue
  /** Every lane over all processes. @throws REDIS_TIMEOUT after 2 s, REDIS_UNREACHABLE */
  lanes(): Promise<LaneState[]>
  /** The calls of this process that wait for a result. */
  waiting(): WaitingCall[]
  /**
   * Takes no more jobs, waits up to `deadlineMs` (default 10,000) for the calls that wait, gives up the rest with CALL_ABORTED and
   * closes. Idempotent; allowed before the first job.
   *
   * @throws CONFIG for a `deadlineMs` that is no number from 0 to a day
   */
  stop(options?: { readonly deadlineMs?: number }): Promise<void>
}

const callDeadlineMsDefault = 30_000
const stopDeadlineMsDefault = 10_000

const callsMaxDefault = 10_000

/** Makes the sending side; nothing is opened before `start` or the first job. @throws CONFIG */
export function createQueues(options: QueuesOptions): Queues {
  const { db, report = warn } = options
  const defaultMs = checkWaitMs('callDeadlineMs', options.callDeadlineMs ?? callDeadlineMsDefault, 1)
  const caller = new Caller(readRedisTarget(options.redis, options.prefix), {
    propagator: db.propagator,
    callsMax: checkCount('callsMax', options.callsMax ?? callsMaxDefault, { min: 1, max: 1_000_000 }),
    payloadBytesMax: checkPayloadBytesMax(options.payloadBytesMax),
    outbox: options.outbox,
    report,
  })
  options.outbox?.connect(new QueuePublisher(caller))
  const unobserve = observeCalls(() => caller.waitingCount)
  const queues: Queues = {
    start: () => caller.start(),
    push: (job, data, given = {}) => push(caller, { job, data, defaultMs }, given),
    pushAsync: (job, data, given = {}) => pushAsync(caller, { job, data, defaultMs }, given),
    queue: job => caller.lanes.queue(job.queue),
    lanes: async () => {
      await caller.start()
      return await readLanesInTime(caller.redis, { keys: caller.keys, now: caller.clock.now() })
    },
    waiting: () => caller.waiting.map(call => call.describe()),
    stop: async ({ deadlineMs = stopDeadlineMsDefault } = {}) => {
      checkWaitMs('deadlineMs', deadlineMs, 0)
      unobserve()
      await caller.stop(deadlineMs)
    },
    [Symbol.asyncDispose]: () => queues.stop(),
  }
  return queues
}
