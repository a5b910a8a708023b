import { setTimeout as sleep } from 'node:timers/promises'
import { outside } from '../outside.ts'
import { type InDoubt, observeInDoubt } from './metrics.ts'
import type { Faulty, Recovery } from './recovery.ts'

export interface ScheduleOptions {
  readonly everyMs: number
  readonly recover: () => Promise<Recovery>
  readonly inDoubt: () => Promise<readonly InDoubt[]>
  readonly report: (error: unknown, what: string) => void
}

/** Ten batches of the largest size. */
const toldMax = 10_000

/** Recovers from time to time, in every process that has started it: each transaction is claimed by one of them. */
export class Schedule {
  readonly #options: ScheduleOptions
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #inDoubt: readonly InDoubt[] | undefined
  /** What was last told of each that a person has to look at: the same is not told again each round. */
  readonly #told = new Map<string, string>()
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
    const { recover, inDoubt } = this.#options
    const { faulty } = await recover()
    for (const each of faulty) this.#tell(each)
    this.#inDoubt = await inDoubt()
  }

  #tell({ id, cause: { message } }: Faulty): void {
    if (this.#told.get(id) === message) return
    if (this.#told.size >= toldMax) this.#told.clear()
    this.#told.set(id, message)
    this.#options.report(new Error(`${id}: ${message}`), 'A two-phase commit to be looked at')
  }
}
