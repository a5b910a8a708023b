import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorClass } from './datasource.ts'
import { LockWait } from './lock-wait.ts'
import { patienceMs } from './patience.ts'
import { dbContextError } from './registry.ts'

/** Failed attempts that are not conflicts (an election, a cut connection) before a transaction is given up. */
export const retriesDefault = 3

const backoffMsFirst = 2
const backoffMsMax = 50

const heldBy = (lack: string | undefined): string =>
  lack === undefined ? 'Other work held a document' : `Other work took all ${lack} of the server`

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
  #unwound = 0
  readonly #lockWait: LockWait

  constructor(options: {
    retriesMax: number
    lockWaitMs: number
    wait: { readonly spentMs: number }
    random?: () => number
  }) {
    const { wait } = options
    this.#lockWait = new LockWait({ maxMs: patienceMs(options.lockWaitMs), poolWaitedMs: () => wait.spentMs })
    this.#retriesMax = options.retriesMax
    this.#lockWaitMs = options.lockWaitMs
    this.#random = options.random ?? Math.random
  }

  /** Since the first conflict, without what was waited for connections, in milliseconds. */
  get conflictMs(): number {
    return this.#lockWait.ms
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
    const tries = kind.conflict ? this.#conflict(error, kind) : this.#failure(error)
    const ceiling = Math.min(backoffMsMax, backoffMsFirst * 1.5 ** tries)
    await sleep(this.#random() * ceiling, undefined, { signal }).catch(() => {})
  }

  /**
   * Waits, for anything up to `lockWaitMs`, before work is awaited again that was held up for that long: others, whose own work is
   * held up by this transaction's documents, come to them meanwhile. `retries` times at most.
   *
   * @throws the error of that work
   */
  async unwind(error: unknown, signal: AbortSignal): Promise<void> {
    this.#unwound += 1
    if (this.#unwound > this.#retriesMax) throw error
    await sleep(this.#random() * this.#lockWaitMs, undefined, { signal }).catch(() => {})
  }

  #conflict(cause: unknown, { lack }: ErrorClass): number {
    this.#lockWait.met()
    this.#conflicts += 1
    if (!this.#lockWait.isOver) return this.#conflicts
    throw dbContextError(
      'LOCK_TIMEOUT',
      `${heldBy(lack)} for longer than lockWaitMs (${this.#lockWaitMs} ms, ${this.#conflicts} conflicts)`,
      {
        details: { lockWaitMs: this.#lockWaitMs, conflicts: this.#conflicts, ...(lack === undefined ? {} : { lack }) },
        cause,
      },
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
