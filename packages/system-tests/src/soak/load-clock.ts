import { setTimeout as sleep } from 'node:timers/promises'

/** The time of a load, in milliseconds since it began. It stands still while the load rests. */
export class LoadClock {
  #past = 0
  /** On `performance.now()`; undefined while it stands. */
  #since: number | undefined
  #running = Promise.withResolvers<void>()

  now(): number {
    return this.#since === undefined ? this.#past : this.#past + performance.now() - this.#since
  }

  start(): void {
    this.#since ??= performance.now()
    this.#running.resolve()
  }

  stop(): void {
    if (this.#since === undefined) return
    this.#past = this.now()
    this.#since = undefined
    this.#running = Promise.withResolvers<void>()
  }

  /** Resolves when the time has come and the clock runs. */
  async reach(at: number): Promise<void> {
    for (;;) {
      await this.#running.promise
      const left = at - this.now()
      if (left <= 0) return
      await sleep(left)
    }
  }
}
