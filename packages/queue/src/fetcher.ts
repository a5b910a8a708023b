import { setImmediate } from 'node:timers/promises'
import type { StrataError } from '@strata/db-context'
import { type Job, type JobJson, type Processor, Worker, type WorkerOptions } from 'bullmq'
import { isKnownBackoff } from './backoff.ts'
import { kept } from './kept.ts'
import { mendingBackend } from './mending-backend.ts'
import { payloadTooLarge } from './payload.ts'
import { queueError } from './registry.ts'
import { markUnreadable, recordInvalid } from './unreadable.ts'

export interface FetcherLimits {
  /** The largest input that is parsed, in bytes. */
  readonly payloadBytesMax: number
}

/**
 * BullMQ's worker, with two differences.
 *
 * A job starts as soon as it is fetched. BullMQ with a concurrency of 2 or more looks for another job first, one round trip that a
 * lone call waits for, and a burst of n jobs for n. The look is put off until the job has started, and made then. Where BullMQ's
 * inside changes so that this has no effect, jobs start later, and nothing else.
 *
 * A job whose record cannot be read is handed to the processor, marked. BullMQ leaves it active, where it stalls and comes back.
 */
export class Fetcher extends Worker {
  /** True between a fetched job and its start. Never while the queue counts as drained: then a look must not be left out. */
  #isStarting = false
  #hasStarted = false
  readonly #payloadBytesMax: number
  /** Of jobs that are on their way from Redis: what is wrong with their records, by id. */
  readonly #faults: Map<string, string>

  constructor(name: string, processor: Processor, options: WorkerOptions & FetcherLimits) {
    const { payloadBytesMax, ...bullmq } = options
    const faults = new Map<string, string>()
    const backend = mendingBackend((id, fault) => {
      if (fault === undefined) faults.delete(id)
      else faults.set(id, fault)
    })
    super(name, processor, bullmq, backend)
    this.#faults = faults
    this.#payloadBytesMax = payloadBytesMax
    this.on('drained', () => {
      this.#isStarting = false
    })
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job> {
    if (this.#isStarting) {
      this.#isStarting = false
      this.#hasStarted = true
      return nothing
    }
    if (this.#hasStarted) {
      this.#hasStarted = false
      // A handler that has its result at once sends it before this look goes out.
      await setImmediate()
    }
    const job: Job | undefined = await super.moveToActive(token, name)
    this.#isStarting = job !== undefined
    return job ?? nothing
  }

  /** BullMQ drops a job whose next repetition it cannot schedule, and leaves it active. */
  protected override async nextJobFromJobData(found?: JobJson, jobId = '', token?: string): Promise<Job> {
    const job: Job | undefined = await super.nextJobFromJobData(found, jobId, token)
    if (job || !found) return job ?? nothing
    const fault = recordInvalid(this.name, jobId, 'its next repetition cannot be scheduled')
    const marked = markUnreadable(this.#bareJob(found, jobId), fault)
    if (token !== undefined) marked.token = token
    return marked
  }

  protected override createJob(found: JobJson, jobId: string): Job {
    const fault = this.#findFault(found, jobId)
    if (fault) return markUnreadable(this.#bareJob(found, jobId), fault)
    try {
      return super.createJob(found, jobId)
    } catch {
      return markUnreadable(this.#bareJob(found, jobId), inputInvalid(found.name, jobId))
    }
  }

  /** Without what BullMQ would act on before or after the job. */
  #bareJob(found: JobJson, jobId: string): Job {
    const {
      repeatJobKey: _,
      parent: _parent,
      parentKey: _parentKey,
      deferredFailure: _failure,
      opts: given,
      ...rest
    } = found
    const { repeatJobKey: _own, parent: _of, backoff: _backoff, ...opts } = given
    return super.createJob(
      { ...rest, name: String(found.name), data: '{}', opts: { ...opts, removeOnFail: kept } },
      jobId,
    )
  }

  #findFault({ name, data, opts }: JobJson, jobId: string): StrataError | undefined {
    const fault = this.#faults.get(jobId)
    this.#faults.delete(jobId)
    if (fault !== undefined) return recordInvalid(this.name, jobId, fault)
    if (typeof name !== 'string') return recordInvalid(this.name, jobId, 'it has no name')
    if (!isKnownBackoff(opts.backoff))
      return recordInvalid(this.name, jobId, 'backoff has a type that is not known here')
    const bytes = Buffer.byteLength(data)
    if (bytes <= this.#payloadBytesMax) return undefined
    const limit = { bytes, bytesMax: this.#payloadBytesMax, outcome: 'not-applied' } as const
    return payloadTooLarge({ kind: 'Input', job: name, id: jobId }, limit)
  }
}

function inputInvalid(job: string, id: string): StrataError {
  const issues = [{ path: '$', message: 'Is not JSON' }]
  return queueError('INPUT_INVALID', `Input of ${job} (${id}) cannot be read: $: Is not JSON`, {
    details: { job, id, issues },
  })
}

/** BullMQ's type leaves out that there may be no job. */
const nothing = undefined as unknown as Job
