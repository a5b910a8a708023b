import type { Redis } from 'ioredis'
import type { Report } from './report.ts'

/** Work on Redis that comes again and again: none is queued up behind what has not been answered yet, or a connection that is away. */
export class Rounds {
  readonly #redis: Redis
  readonly #what: string
  readonly #work: () => Promise<unknown>
  readonly #report: Report
  #isOpen = false

  constructor(redis: Redis, options: { what: string; work: () => Promise<unknown>; report: Report }) {
    this.#redis = redis
    this.#what = options.what
    this.#work = options.work
    this.#report = options.report
  }

  run(): void {
    if (this.#isOpen || this.#redis.status !== 'ready') return
    this.#isOpen = true
    this.#work()
      .catch(error => this.#report(error, this.#what))
      .finally(() => {
        this.#isOpen = false
      })
  }
}
