import {
  hasCode,
  type IncomingJob,
  type Propagator,
  putBackAfterMs,
  type RunningUnit,
  type StrataError,
} from '@strata/db-context'
import { type Job, WaitingError } from 'bullmq'
import type { Redis } from 'ioredis'
import type { RedisClock } from './clock.ts'
import { checkResult, readInput } from './contract.ts'
import { readableError } from './encode-error.ts'
import { type Envelope, findEnvelope, findReplyAddress, isNewer, readEnvelope } from './envelope.ts'
import type { GivenUp } from './given-up.ts'
import { leaveHandler } from './handler-error.ts'
import type { Handlers, Handling } from './handlers.ts'
import type { Keys } from './keys.ts'
import type { Lane } from './lane.ts'
import { jobDuration, refusals } from './metrics.ts'
import { MinuteLog } from './minute-log.ts'
import { heldUp, inProgress, notHere, putBack } from './put-back.ts'
import { RecentlyGivenUp } from './recently-given-up.ts'
import {
  asFinal,
  codeOf,
  handlerMissing,
  hasAnotherAttempt,
  isControlFlow,
  lockTimeout,
  mayHaveRunBefore,
  Refusal,
} from './refusal.ts'
import { queueError } from './registry.ts'
import { Replier, type ReplyAddress } from './replier.ts'
import type { Report } from './report.ts'
import { Run, type RunningJob } from './run.ts'
import { refuseUnawaited } from './startable.ts'
import { repairRecord, unreadable } from './unreadable.ts'

export interface RunnerOptions {
  readonly propagator: Propagator
  readonly handlers: Handlers
  readonly redis: Redis
  readonly clock: RedisClock
  readonly keys: Keys
  /** How long a handler may go on once its signal is aborted, in milliseconds. */
  readonly graceMs: number
  readonly payloadBytesMax: number
  readonly report: Report
}

/** What BullMQ hands to a processor beside the job. */
interface Work {
  readonly token: string | undefined
  readonly signal: AbortSignal | undefined
}

/** Runs jobs: reads what came, enters the context of the job, calls the handler, checks and sends its result. */
export class Runner {
  readonly #options: RunnerOptions
  readonly #replier: Replier
  readonly #log: MinuteLog
  readonly #runs = new Set<Run>()
  readonly #handBack = new AbortController()
  readonly #givenUp = new RecentlyGivenUp()

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#log = new MinuteLog(options.report)
    this.#replier = new Replier(options.redis, options.keys, options.report)
  }

  /** Jobs whose handlers have begun. */
  get running(): RunningJob[] {
    return [...this.#runs].filter(({ hasBegun }) => hasBegun).map(({ running }) => running)
  }

  /** True from the moment in which a job has arrived. */
  get isBusy(): boolean {
    return this.#runs.size > 0
  }

  /** Aborts what runs and gives those jobs back to the queue, for another worker to run. */
  handBack(): void {
    this.#handBack.abort()
    for (const run of this.#runs) run.abort(stopping())
  }

  async run(lane: Lane, job: Job, work: Work): Promise<unknown> {
    const begun = performance.now()
    let level = lane.level
    let result = 'ok'
    const found = findEnvelope(job.opts)
    const handling = this.#options.handlers.find(lane.queue, job.name)
    let address: ReplyAddress | undefined = findReplyAddress(found)
    try {
      const envelope = await this.#readEnvelope(found, { lane, job, token: work.token })
      level = Math.min(envelope.level, this.#options.propagator.levelsMax)
      address = envelope.kind === 'call' ? envelope : undefined
      const value = await this.#execute({ lane, job, envelope, handling, ...work })
      if (address) this.#replier.succeed(job, address, value)
      return value
    } catch (thrown) {
      const error = readableError(thrown)
      result = isControlFlow(error) ? 'PUT_BACK' : codeOf(error)
      throw await this.#failure(error, { job, address, token: work.token })
    } finally {
      // A stranger may send any number of names.
      jobDuration.record((performance.now() - begun) / 1000, { job: handling?.job.name ?? 'unknown', level, result })
    }
  }

  /** Aborts the job of a call that its caller gave up. */
  giveUp(givenUp: GivenUp): void {
    this.#givenUp.add(givenUp)
    for (const run of this.#runs) if (run.isOf(givenUp)) run.abort(gaveUp())
  }

  /** An envelope of a newer version is left for a worker of that version, as a job without a handler is. */
  async #readEnvelope(found: unknown, at: { lane: Lane; job: Job; token: string | undefined }): Promise<Envelope> {
    const { lane, job, token } = at
    const fault = unreadable(job)
    if (fault) {
      const { redis, keys, payloadBytesMax: bytesMax } = this.#options
      await repairRecord(redis, keys.bullmq(lane.name, job.id ?? ''), { fault, bytesMax })
      throw new Refusal(fault)
    }
    try {
      return readEnvelope(found, lane)
    } catch (error) {
      if (!hasCode(error, 'ENVELOPE_INVALID')) throw error
      throw (isNewer(found) ? await putBack(this.#options, { job, token }, notHere) : undefined) ?? new Refusal(error)
    }
  }

  async #execute(
    at: { lane: Lane; job: Job; envelope: Envelope; handling: Handling | undefined } & Work,
  ): Promise<unknown> {
    const { lane, job, envelope, handling } = at
    // Before the first wait: a job may be given up, or be handed back, before its handler begins, which it then must not.
    const run = new Run(lane, job, { envelope, begunAt: this.#options.clock.now() })
    const untie = run.follow(at.signal)
    this.#runs.add(run)
    if (this.#handBack.signal.aborted) run.abort(stopping())
    if (this.#givenUp.has(run)) run.abort(gaveUp())
    try {
      if (envelope.kind === 'call') await refuseUnawaited(this.#options, job, envelope)
      if (!handling) throw (await putBack(this.#options, at, notHere)) ?? new Refusal(handlerMissing(lane, job))
      const input = await readInput(handling, job)
      const value = await this.#handle(run, { lane, job, envelope, handling, input })
      await checkResult(handling, job, { value, bytesMax: this.#options.payloadBytesMax })
      return value
    } catch (error) {
      await run.outlast(this.#options.graceMs, this.#handBack.signal, error).catch(this.#reported)
      throw error
    } finally {
      this.#runs.delete(run)
      untie()
    }
  }

  async #handle(
    run: Run,
    at: { lane: Lane; job: Job; envelope: Envelope; handling: Handling; input: unknown },
  ): Promise<unknown> {
    const { job, handling, input } = at
    const { errorCodes } = this.#options.propagator
    let begun: RunningUnit | undefined
    try {
      return await this.#enter(this.#incoming(run, at), (signal, unit) => {
        begun = unit
        return run.begin(() => handling.handler(input, { signal, job }))
      })
    } catch (error) {
      throw run.hasBegun ? leaveHandler(error, { hasEffects: begun?.hasEffects ?? true, errorCodes }) : error
    }
  }

  #incoming({ running, signal }: Run, at: { lane: Lane; envelope: Envelope; handling: Handling }): IncomingJob {
    const { lane, envelope, handling } = at
    const isCall = envelope.kind === 'call'
    const deadlineMs = isCall ? envelope.deadline - this.#options.clock.now() : handling.job.deadlineMs
    return {
      name: running.job,
      id: running.id,
      level: envelope.level,
      chain: isCall ? envelope.chain : [],
      signal,
      canPutBack: this.#options.propagator.isolated,
      lane: { queue: lane.queue, level: lane.level },
      ...(deadlineMs === undefined ? {} : { deadlineMs: Math.max(0, deadlineMs) }),
    }
  }

  /** Enters the job's context; a level that this process does not have is a refusal. */
  async #enter<T>(incoming: IncomingJob, body: (signal: AbortSignal, unit: RunningUnit) => Promise<T>): Promise<T> {
    let begun = false
    try {
      return await this.#options.propagator.run(incoming, (signal, unit) => {
        begun = true
        return body(signal, unit)
      })
    } catch (error) {
      throw !begun && hasCode(error, 'LEVEL_LIMIT') ? new Refusal(error) : error
    }
  }

  readonly #reported = (error: unknown) => {
    this.#options.report(error, 'Running a job')
    throw error
  }

  /** What BullMQ is to be told; the caller hears of it when BullMQ will not try again. */
  async #failure(error: Error, at: { job: Job; address: ReplyAddress | undefined; token: string | undefined }) {
    if (isControlFlow(error)) return error
    if (this.#handBack.signal.aborted) return await this.#end(error, at)
    if (hasCode(error, 'LOCK_BLOCKED')) return await this.#heldUp(error, at)
    // One that has done something besides says so: it is not the same when it is run again.
    if (hasCode(error, 'MESSAGE_IN_PROGRESS') && error.outcome === 'not-applied') {
      return (
        (await putBack(this.#options, at, inProgress(at.address ? 'call' : 'push'))) ?? (await this.#end(error, at))
      )
    }
    return await this.#end(error, at)
  }

  /** A job that waits for a document leaves its slot to those that whoever holds the document may wait for. */
  async #heldUp(blocked: StrataError, at: { job: Job; address: ReplyAddress | undefined; token: string | undefined }) {
    const { lockWaitMs } = this.#options.propagator
    const delayed = await putBack(this.#options, { ...at, forMs: putBackAfterMs }, heldUp(lockWaitMs))
    return delayed ?? (await this.#end(lockTimeout(at.job, lockWaitMs, blocked), at))
  }

  async #end(error: Error, at: { job: Job; address: ReplyAddress | undefined; token: string | undefined }) {
    const { job, address, token } = at
    if (this.#handBack.signal.aborted && !(error instanceof Refusal)) {
      // A job that has lost its lock is another worker's already.
      await job.moveToWait(token ?? '').catch(() => {})
      return new WaitingError()
    }
    if (error instanceof Refusal) {
      refusals.add(1, { code: error.refusal.code })
      this.#log.note(error.refusal.code, error.refusal, `Job refused in lane ${job.queueName}`)
    }
    const told = asFinal(error)
    if (hasAnotherAttempt(job, told)) return told
    const mayHaveRun = await mayHaveRunBefore(this.#options, job)
    this.#replier.fail({ job, token, address, mayHaveRun, error: error instanceof Refusal ? error.refusal : error })
    return told
  }
}

const gaveUp = () => queueError('CALL_ABORTED', 'Caller of this job gave it up')

const stopping = () => queueError('QUEUE_STOPPED', 'Worker is stopping')
