import { setTimeout as sleep } from 'node:timers/promises'
import { outside } from '../outside.ts'
import { type InDoubt, observeInDoubt } from './metrics.ts'
import type { Recovery } from './recovery.ts'

export interface ScheduleOptions {
  readonly everyMs: number
  readonly recover: () => Promise<Recovery>
  readonly inDoubt: () => Promise<readonly InDoubt[]>
  readonly report: (error: unknown, what: string) => void
}

/** Recovers from time to time, in every process that has started it: each transaction is claimed by one of them. */
export class Schedule {
  readonly #options: ScheduleOptions
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #inDoubt: readonly InDoubt[] | undefined
  #unobserve: (() => void) | undefined

  constructor(options: ScheduleOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#running || this.#stop.signal.aborted) return
    this.#unobserve = observeInDoubt(() => this.#inDoubt)
    this.#running = outside(() => this.#run())
  }

  async stop(): Promise<void> {
    this.#unobserve?.()
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { everyMs, report } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        await this.#round()
      } catch (error) {
        if (!this.#stop.signal.aborted) report(error, 'Recovering two-phase commits')
      }
      // Processes that were started together do not all ask at the same moment.
      const pauseMs = everyMs * (0.75 + Math.random() / 2)
      await sleep(pauseMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
    }
  }

  async #round(): Promise<void> {
    const { recover, inDoubt, report } = this.#options
    const { faulty } = await recover()
    for (const { id, cause } of faulty)
      report(new Error(`${id}: ${cause.message}`), 'A two-phase commit to be looked at')
    this.#inDoubt = await inDoubt()
  }
}
