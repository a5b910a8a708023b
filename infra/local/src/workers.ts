import { setTimeout as pause } from 'node:timers/promises'
import { type AppProcess, EndedEarly, type ProcessEnd } from './app-process.ts'
import { RESTARTS_MAX, Restarts } from './restarts.ts'

/** What the workers need of the local start. */
export interface WorkersOptions {
  /** Starts worker number n, from 1. */
  readonly begin: (n: number) => AppProcess
  readonly readyLimitMs: number
  readonly say: (line: string) => void
  /** Called when the workers cannot go on. */
  readonly fail: (error: Error) => void
}

/** The worker processes: their jobs are safe in the queue, so one that dies is started again. */
export class Workers {
  readonly #options: WorkersOptions
  readonly #restarts = new Restarts()
  readonly #stopped = new AbortController()
  readonly #running = new Set<AppProcess>()

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  /** Resolves when `count` workers are ready. @throws EndedEarly when one of them ends before; an error at the time limit. */
  async start(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    const workers = numbers.map(n => ({ n, worker: this.#begin(n) }))
    await Promise.all(workers.map(({ worker }) => worker.message('ready', this.#options.readyLimitMs)))
    for (const { n, worker } of workers) void this.#keep(n, worker)
  }

  /** Asks all of them to end and kills them after `limitMs`; none is started again. Resolves with how they ended. */
  async stop(limitMs: number): Promise<ProcessEnd[]> {
    this.#stopped.abort()
    return Promise.all([...this.#running].map(worker => worker.stop(limitMs)))
  }

  #begin(n: number): AppProcess {
    const worker = this.#options.begin(n)
    this.#running.add(worker)
    return worker
  }

  async #keep(n: number, worker: AppProcess): Promise<void> {
    const end = await worker.ended
    if (this.#stopped.signal.aborted) return
    this.#running.delete(worker)
    const pauseMs = this.#restarts.take(performance.now())
    if (pauseMs === undefined) {
      this.#options.fail(new EndedEarly(end, `after ${RESTARTS_MAX} restarts within a minute`))
      return
    }
    const how = end.signal ?? `exit ${end.code}`
    this.#options.say(`The ${end.name} ended by itself (${how}); it is started again in ${pauseMs / 1000} s`)
    await pause(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => {})
    if (this.#stopped.signal.aborted) return
    const again = this.#begin(n)
    void this.#keep(n, again)
    await again.message('ready', this.#options.readyLimitMs).catch(error => {
      // One that has ended is the next round's business.
      if (!(error instanceof EndedEarly)) this.#options.fail(error)
    })
  }
}
