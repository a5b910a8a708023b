import { hasCode, type IncomingJob, type Propagator } from '@strata/db-context'
import { type Job, WaitingError } from 'bullmq'
import type { Redis } from 'ioredis'
import type { RedisClock } from './clock.ts'
import { checkResult, readInput } from './contract.ts'
import { type CallEnvelope, type Envelope, findReplyAddress, readEnvelope } from './envelope.ts'
import type { Handlers } from './handlers.ts'
import type { Keys } from './keys.ts'
import type { Lane } from './lane.ts'
import { jobDuration } from './metrics.ts'
import { codeOf, expired, handlerMissing, hasAnotherAttempt, isControlFlow, Refusal } from './refusal.ts'
import { queueError } from './registry.ts'
import { Replier, type ReplyAddress } from './replier.ts'
import type { Report } from './report.ts'

/** A job that runs in this process: what `worker.activities()` shows. */
export interface RunningJob {
  readonly id: string
  readonly job: string
  readonly level: number
  /** The outermost work of its chain: itself for a push. */
  readonly root: string
  readonly lane: string
  /** On `performance.now()` of this process. */
  readonly since: number
}

export interface RunnerOptions {
  readonly propagator: Propagator
  readonly handlers: Handlers
  readonly redis: Redis
  readonly clock: RedisClock
  readonly keys: Keys
  readonly report: Report
}

interface Run {
  readonly running: RunningJob
  readonly abort: AbortController
}

/** Runs jobs: reads what came, enters the context of the job, calls the handler, checks and sends its result. */
export class Runner {
  readonly #options: RunnerOptions
  readonly #replier: Replier
  readonly #runs = new Set<Run>()
  readonly #handBack = new AbortController()

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#replier = new Replier(options.redis, options.keys, options.report)
  }

  get running(): RunningJob[] {
    return [...this.#runs].map(({ running }) => running)
  }

  /** Aborts what runs and gives those jobs back to the queue, for another worker to run. */
  handBack(): void {
    this.#handBack.abort()
    for (const { abort } of this.#runs) abort.abort(queueError('QUEUE_STOPPED', 'Worker is stopping'))
  }

  async run(
    lane: Lane,
    job: Job,
    work: { token: string | undefined; signal: AbortSignal | undefined },
  ): Promise<unknown> {
    const begun = performance.now()
    let level = lane.level
    let result = 'ok'
    const found = (job.opts as { strata?: unknown }).strata
    let address: ReplyAddress | undefined = findReplyAddress(found)
    try {
      const envelope = readOrRefuse(found, lane)
      level = envelope.level
      address = envelope.kind === 'call' ? envelope : undefined
      const value = await this.#execute({ lane, job, envelope, signal: work.signal })
      if (address) this.#replier.succeed(address, value)
      return value
    } catch (error) {
      result = codeOf(error)
      throw await this.#failure(error, { job, address, token: work.token })
    } finally {
      jobDuration.record((performance.now() - begun) / 1000, { job: job.name, level, result })
    }
  }

  async #execute(at: { lane: Lane; job: Job; envelope: Envelope; signal: AbortSignal | undefined }): Promise<unknown> {
    const { lane, job, envelope } = at
    const { propagator, handlers, clock } = this.#options
    const handling = handlers.find(lane.queue, job.name)
    if (!handling) throw new Refusal(handlerMissing(lane, job))
    const deadlineMs = envelope.kind === 'call' ? envelope.deadline - clock.now() : handling.job.deadlineMs
    if (deadlineMs !== undefined && deadlineMs <= 0) throw new Refusal(expired(envelope as CallEnvelope, job))
    const input = await readInput(handling, job)
    const chain = envelope.kind === 'call' ? envelope.chain : []
    const abort = new AbortController()
    const run = { abort, running: describe(lane, job, envelope) }
    const relay = () => abort.abort(at.signal?.reason)
    at.signal?.addEventListener('abort', relay, { once: true })
    this.#runs.add(run)
    try {
      const incoming = {
        name: job.name,
        id: run.running.id,
        level: envelope.level,
        chain,
        signal: abort.signal,
        lane: { queue: lane.queue, level: lane.level },
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      }
      const value = await enter(propagator, incoming, signal => handling.handler(input, { signal, job }))
      await checkResult(handling, job, value)
      return value
    } finally {
      this.#runs.delete(run)
      at.signal?.removeEventListener('abort', relay)
    }
  }

  /** What BullMQ is to be told; the caller hears of it when BullMQ will not try again. */
  async #failure(error: unknown, at: { job: Job; address: ReplyAddress | undefined; token: string | undefined }) {
    const { job, address, token } = at
    if (isControlFlow(error)) return error
    if (this.#handBack.signal.aborted && !(error instanceof Refusal)) {
      // A job that has lost its lock is another worker's already.
      await job.moveToWait(token ?? '').catch(() => {})
      return new WaitingError()
    }
    const told = error instanceof Error ? error : new Error(`Thrown: ${String(error)}`)
    const cause = error instanceof Refusal ? error.refusal : error
    if (!hasAnotherAttempt(job, told)) this.#replier.fail({ job, address, error: cause })
    return told
  }
}

function readOrRefuse(found: unknown, lane: Lane): Envelope {
  try {
    return readEnvelope(found, lane)
  } catch (error) {
    throw hasCode(error, 'ENVELOPE_INVALID') ? new Refusal(error) : error
  }
}

/** Enters the job's context; a level that this process does not have is a refusal. */
async function enter<T>(
  propagator: Propagator,
  incoming: IncomingJob,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  let begun = false
  try {
    return await propagator.run(incoming, signal => {
      begun = true
      return body(signal)
    })
  } catch (error) {
    throw !begun && hasCode(error, 'LEVEL_LIMIT') ? new Refusal(error) : error
  }
}

const describe = (lane: Lane, job: Job, envelope: Envelope): RunningJob => {
  const id = job.id ?? ''
  const root = (envelope.kind === 'call' && envelope.chain[0]?.id) || id
  return { id, job: job.name, level: envelope.level, root, lane: lane.name, since: performance.now() }
}
