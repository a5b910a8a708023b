import { setTimeout as sleep } from 'node:timers/promises'
import { dbContextError, type ErrorClass, LockWait, patienceMs } from '@strata/db-context'
import { lacksTicket } from '../classify.ts'

/** As the retries of a transaction: full jitter, so that one of two that cross wins; a busy document is met free. */
const backoffMsFirst = 2
const backoffMsMax = 50

/** Elections and cut connections; each try waits for a server by itself. */
const failuresMax = 3

export interface TriesOptions {
  readonly what: string
  readonly lockWaitMs: number
  /** The operation's own `maxTimeMS`. */
  readonly userMs: number | undefined
  /** The wait of all tries for connections, whose time does not count. */
  readonly wait: { readonly spentMs: number } | undefined
}

/** How long, and how often, one write that applied nothing is sent again. Conflicts are bounded by time, the rest by number. */
export class Tries {
  readonly #options: TriesOptions
  readonly #lockWait: LockWait
  #conflicts = 0
  #failures = 0

  constructor(options: TriesOptions) {
    const { lockWaitMs, userMs, wait } = options
    this.#options = options
    const maxMs = Math.min(patienceMs(lockWaitMs), userMs || Number.POSITIVE_INFINITY)
    this.#lockWait = new LockWait({ maxMs, poolWaitedMs: () => wait?.spentMs ?? 0 })
  }

  /** Since the first conflict, without what was waited for connections, in milliseconds. */
  get blockedMs(): number {
    return this.#lockWait.ms
  }

  /** Waits before the next try. The caller keeps no connection meanwhile. @throws LOCK_TIMEOUT, or the error itself */
  async next(error: unknown, { conflict }: Pick<ErrorClass, 'conflict'>): Promise<void> {
    const tries = conflict ? this.#conflict(error) : this.#failure(error)
    await sleep(Math.random() * Math.min(backoffMsMax, backoffMsFirst * 1.5 ** tries))
  }

  #conflict(cause: unknown): number {
    this.#lockWait.met()
    this.#conflicts += 1
    if (!this.#lockWait.isOver) return this.#conflicts
    throw lockTimeout({ ...this.#options, cause, conflicts: this.#conflicts })
  }

  #failure(error: unknown): number {
    this.#failures += 1
    if (this.#failures > failuresMax) throw error
    return this.#failures
  }
}

/** The end of a write that other work kept waiting. */
export function lockTimeout(blocked: {
  readonly what: string
  readonly lockWaitMs: number
  readonly cause: unknown
  readonly conflicts?: number
}) {
  const { what, lockWaitMs, cause, conflicts } = blocked
  if (lacksTicket(cause)) return noTicket(what, lockWaitMs, cause)
  return dbContextError(
    'LOCK_TIMEOUT',
    `Other work held the document of ${what} for longer than lockWaitMs (${lockWaitMs} ms), or the write needs longer ` +
      'itself: end the transaction that wrote the document, or raise lockWaitMs',
    { details: { what, lockWaitMs, ...(conflicts === undefined ? {} : { conflicts }) }, cause },
  )
}

function noTicket(what: string, lockWaitMs: number, cause: unknown) {
  return dbContextError(
    'LOCK_TIMEOUT',
    `The server had no write ticket for ${what} for lockWaitMs (${lockWaitMs} ms), other writes kept all of them: ` +
      'lower pool.max, run fewer processes, or give the server more',
    { details: { what, lockWaitMs, lack: 'write tickets' }, cause },
  )
}
