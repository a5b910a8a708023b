import type { JobsOptions, Queue } from 'bullmq'
import { nextInput } from './station.ts'

/** Worked off in a fraction of a second: long enough to be in steady state, short enough to take turns. */
const jobs = 1000

/** A queue that is filled while it is paused, so that only the working is timed. */
export class Backlog {
  readonly #queue: Queue
  readonly #options: JobsOptions
  #left = 0
  #finished = Promise.withResolvers<void>()

  constructor(queue: Queue, options: JobsOptions) {
    this.#queue = queue
    this.#options = options
  }

  /** The handler of every job. */
  done<T>(input: T): T {
    this.#left -= 1
    if (this.#left === 0) this.#finished.resolve()
    return input
  }

  /** Works off full backlogs until it has worked for so long. Resolves with jobs a second. */
  async workOff(forMs: number): Promise<number> {
    let worked = 0
    let tookMs = 0
    do {
      await this.#fill()
      const begun = performance.now()
      await this.#queue.resume()
      await this.#finished.promise
      tookMs += performance.now() - begun
      worked += jobs
    } while (tookMs < forMs)
    return (worked * 1000) / tookMs
  }

  async #fill(): Promise<void> {
    await this.#queue.pause()
    this.#left = jobs
    this.#finished = Promise.withResolvers()
    const { name } = this.#queue
    await this.#queue.addBulk(Array.from({ length: jobs }, () => ({ name, data: nextInput(), opts: this.#options })))
  }
}
