import { setImmediate } from 'node:timers/promises'
import { type Job, Worker, type WorkerOptions } from 'bullmq'

/**
 * BullMQ's worker, but a job starts as soon as it is fetched. BullMQ with a concurrency of 2 or more looks for another job first,
 * one round trip that a lone call waits for, and a burst of n jobs for n. The look is put off until the job has started, and made
 * then. Where BullMQ's inside changes so that this has no effect, jobs start later, and nothing else.
 */
export class Fetcher extends Worker {
  /** True between a fetched job and its start. Never while the queue counts as drained: then a look must not be left out. */
  #isStarting = false
  #hasStarted = false

  constructor(name: string, processor: ConstructorParameters<typeof Worker>[1], options: WorkerOptions) {
    super(name, processor, options)
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
}

/** BullMQ's type leaves out that there may be no job. */
const nothing = undefined as unknown as Job
