import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorClass } from './datasource.ts'
import { type Deadline, deadlineIn, remainingMs } from './deadline.ts'
import { patienceMs } from './patience.ts'
import { dbContextError } from './registry.ts'

/** Failed attempts that are not conflicts (an election, a cut connection) before a transaction is given up. */
export const retriesDefault = 3

const backoffMsFirst = 2
const backoffMsMax = 50

/**
 * How long, and how often, one transaction is run again. Conflicts over documents are bounded by time, because how many
 * fit in says nothing about the holder; everything else by a number.
 */
export class RetryBudget {
  readonly #retriesMax: number
  readonly #lockWaitMs: number
  readonly #random: () => number
  #failures = 0
  #conflicts = 0
  #conflictsSince: number | undefined
  #conflictsUntil: Deadline | undefined

  constructor(options: { retriesMax: number; lockWaitMs: number; random?: () => number }) {
    this.#retriesMax = options.retriesMax
    this.#lockWaitMs = options.lockWaitMs
    this.#random = options.random ?? Math.random
  }

  /** Since the first conflict, in milliseconds. */
  get conflictMs(): number {
    return this.#conflictsSince === undefined ? 0 : performance.now() - this.#conflictsSince
  }

  get isOff(): boolean {
    return this.#retriesMax === 0
  }

  /**
   * Waits before the next attempt. The full jitter is what lets one of two crossing transactions win; the cap of 50 ms
   * gives a waiter some sixty tries in `lockWaitMs`, so that a busy document is met free.
   *
   * @throws LOCK_TIMEOUT, RETRIES_EXHAUSTED
   */
  async next(error: unknown, kind: ErrorClass, signal: AbortSignal): Promise<void> {
    const tries = kind.conflict ? this.#conflict(error) : this.#failure(error)
    const ceiling = Math.min(backoffMsMax, backoffMsFirst * 1.5 ** tries)
    await sleep(this.#random() * ceiling, undefined, { signal }).catch(() => {})
  }

  #conflict(cause: unknown): number {
    this.#conflictsSince ??= performance.now()
    this.#conflictsUntil ??= deadlineIn(patienceMs(this.#lockWaitMs))
    this.#conflicts += 1
    if (remainingMs(this.#conflictsUntil) > 0) return this.#conflicts
    throw dbContextError(
      'LOCK_TIMEOUT',
      `Other work held a document for longer than lockWaitMs (${this.#lockWaitMs} ms, ${this.#conflicts} conflicts)`,
      { details: { lockWaitMs: this.#lockWaitMs, conflicts: this.#conflicts }, cause },
    )
  }

  #failure(cause: unknown): number {
    this.#failures += 1
    if (this.#failures <= this.#retriesMax) return this.#failures
    throw dbContextError(
      'RETRIES_EXHAUSTED',
      `Transaction failed ${this.#failures} times with a transient error, retries is ${this.#retriesMax}`,
      { details: { attempts: this.#failures, retriesMax: this.#retriesMax }, cause },
    )
  }
}
