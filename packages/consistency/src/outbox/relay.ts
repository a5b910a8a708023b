import type { Lease } from './lease.ts'
import { observeBacklog } from './metrics.ts'
import type { Report } from './options.ts'
import { outside } from './outside.ts'
import { type Publication, publishable } from './publication.ts'
import { type Row, rowVersion } from './row.ts'
import type { Backlog, Store } from './store.ts'

const batchMax = 500

/** Keys that wait for a job to end are looked at one by one, so many at once. */
const waitingKeysMax = 100

const busyPauseMs = 25
const backoffMsFirst = 100
const backoffMsMax = 5000
const measureMs = 5000

export interface RelayOptions {
  readonly store: Store
  readonly publication: Publication
  readonly lease: Lease
  readonly pollMs: number
  readonly graceSeconds: number
  readonly report: Report
}

/**
 * Publishes what the processes that committed it did not: they were killed, or the queue was away. It polls, and always from the oldest
 * row, so a row that becomes visible late, or was written while nobody relayed, cannot be passed over.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #stop = new AbortController()
  /** Their next row waits for the end of the job before it; its rows must not fill the batch meanwhile. */
  readonly #waitingKeys = new Set<string>()
  #running: Promise<void> | undefined
  #backlog: Backlog | undefined
  #measuredAt = Number.NEGATIVE_INFINITY
  #unobserve: (() => void) | undefined

  constructor(options: RelayOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#stop.signal.aborted || this.#running) return
    this.#unobserve = observeBacklog(() => this.#backlog)
    this.#running = outside(() => this.#run())
  }

  async stop(): Promise<void> {
    this.#unobserve?.()
    this.#stop.abort()
    await this.#running
    await this.#options.lease.release()
  }

  async #run(): Promise<void> {
    const { report } = this.#options
    for (let backoffMs = 0; !this.#stop.signal.aborted; ) {
      let pauseMs = 0
      try {
        pauseMs = await this.#round()
        backoffMs = 0
      } catch (error) {
        if (!this.#stop.signal.aborted) report(error, 'Relaying the outbox')
        backoffMs = Math.min(Math.max(backoffMs * 2, backoffMsFirst), backoffMsMax)
        pauseMs = backoffMs * (0.5 + Math.random() / 2)
      }
      if (pauseMs > 0) await this.#pause(pauseMs)
    }
  }

  /** @returns for how many milliseconds there is nothing to do @throws what keeps rows from being published */
  async #round(): Promise<number> {
    const { lease, pollMs, graceSeconds } = this.#options
    if (!(await lease.hold())) {
      this.#backlog = undefined
      return pollMs
    }
    const { moved, error } = await this.pass(graceSeconds)
    await this.#measure()
    if (error) throw error
    if (moved >= batchMax) return 0
    return moved > 0 || this.#waitingKeys.size > 0 ? busyPauseMs : pollMs
  }

  /**
   * One look from the oldest row on: publishes what is ripe, in the order of each key.
   *
   * @returns how many rows are published or set aside, and what kept others from it
   */
  async pass(graceSeconds: number): Promise<{ readonly moved: number; readonly error: Error | undefined }> {
    const { store, publication } = this.#options
    const blocked = new Set(await store.blockedKeys())
    const first = await this.#headsOfWaiting(blocked)
    const not = [...blocked, ...this.#waitingKeys]
    const rows = await store.pending({ graceSeconds, not, limit: batchMax })
    const ready = [...first, ...(await this.#ready(rows))]
    const { published, setAside, error } = await publication.publish(ready)
    return { moved: published.length + setAside.length, error }
  }

  /** Those of each key that are next; the order among keys stays that of the rows. */
  async #ready(rows: readonly Row[]): Promise<Row[]> {
    const ofKey = Map.groupBy(rows, ({ key }) => key)
    const ready = new Set<Row>(ofKey.get(undefined))
    for (const [key, mine] of ofKey) {
      if (key === undefined) continue
      const next = await publishable(this.#options, mine)
      for (const row of next) ready.add(row)
      if (next.length < mine.length) this.#wait(key)
    }
    return rows.filter(row => ready.has(row))
  }

  #wait(key: string): void {
    if (this.#waitingKeys.size < waitingKeysMax) this.#waitingKeys.add(key)
  }

  async #headsOfWaiting(blocked: ReadonlySet<string>): Promise<Row[]> {
    const { store } = this.#options
    const ready: Row[] = []
    for (const key of [...this.#waitingKeys]) {
      const mine = blocked.has(key) ? [] : await store.heads([key], batchMax)
      ready.push(...(await publishable(this.#options, mine)))
      if (mine.length === 0) this.#waitingKeys.delete(key)
    }
    return ready
  }

  async #measure(): Promise<void> {
    if (performance.now() - this.#measuredAt < measureMs) return
    const { store } = this.#options
    const isFirst = this.#measuredAt === Number.NEGATIVE_INFINITY
    this.#measuredAt = performance.now()
    this.#backlog = await store.backlog()
    // What an older relay could not read, this one can.
    if (isFirst) await store.retry({ 'fault.code': 'OUTBOX_ROW_INVALID', v: { $gt: 1, $lte: rowVersion } })
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stop
    await new Promise<void>(resolve => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener('abort', end, { once: true })
      if (signal.aborted) end()
    })
  }
}
