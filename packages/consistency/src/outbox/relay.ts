import { setTimeout as sleep } from 'node:timers/promises'
import { outside } from '../outside.ts'
import type { Report } from '../report.ts'
import type { Lease } from './lease.ts'
import { observeBacklog } from './metrics.ts'
import { type Publication, publishable } from './publication.ts'
import { type Row, rowVersion } from './row.ts'
import type { Backlog, Store } from './store.ts'

const batchMax = 500

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

interface Pass {
  readonly moved: number
  /** There are rows that wait for others of their key. */
  readonly isWaiting: boolean
  readonly error: Error | undefined
}

/**
 * Publishes what the processes that committed it did not: they were killed, or the queue was away. It polls, and always from the oldest
 * row, so a row that becomes visible late, or was written while nobody relayed, cannot be passed over.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #stop = new AbortController()
  #busyMs = busyPauseMs
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
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {})
    }
  }

  /** @returns for how many milliseconds there is nothing to do @throws what keeps rows from being published */
  async #round(): Promise<number> {
    const { lease, pollMs, graceSeconds } = this.#options
    if (!(await lease.hold())) {
      this.#backlog = undefined
      return pollMs
    }
    const { moved, isWaiting, error } = await this.pass(graceSeconds)
    await this.#measure()
    if (error) throw error
    if (moved >= batchMax) return 0
    // Jobs that others wait for mostly end soon; a lane that nobody serves is looked at as seldom as an empty outbox.
    this.#busyMs = moved > 0 ? busyPauseMs : Math.min(this.#busyMs * 1.5, pollMs)
    return moved > 0 || isWaiting ? this.#busyMs : pollMs
  }

  /**
   * One look from the oldest row on: publishes what is ripe, in the order of each key. Past the rows of keys that cannot go on.
   *
   * @returns how many rows are published or set aside, and what kept others from it
   */
  async pass(graceSeconds: number): Promise<Pass> {
    const { store, publication } = this.#options
    const stuck = new Set(await store.blockedKeys())
    for (;;) {
      const { rows, hasMore } = await store.pending({ graceSeconds, not: [...stuck], limit: batchMax })
      // Asked again: what has been set aside meanwhile is not among the rows, and what comes after it may be.
      for (const key of await store.blockedKeys()) stuck.add(key)
      const ready = await this.#ready(rows, stuck)
      const { published, setAside, error } = await publication.publish(ready)
      const moved = published.length + setAside.length
      const isWaiting = ready.length < rows.length
      if (error || moved > 0 || !hasMore) return { moved, isWaiting, error }
    }
  }

  /** Those of each key that are next; the order among keys stays that of the rows. Notes the keys whose others have to wait. */
  async #ready(rows: readonly Row[], stuck: Set<string>): Promise<Row[]> {
    const free = rows.filter(({ key }) => key === undefined || !stuck.has(key))
    const ofKey = Map.groupBy(free, ({ key }) => key)
    const ready = new Set<Row>(ofKey.get(undefined))
    ofKey.delete(undefined)
    for (const row of await publishable(this.#options, [...ofKey.values()])) ready.add(row)
    for (const row of free) if (row.key !== undefined && !ready.has(row)) stuck.add(row.key)
    return free.filter(row => ready.has(row))
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
}
