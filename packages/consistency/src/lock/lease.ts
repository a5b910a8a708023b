import { consistencyError } from '../errors.ts'
import { within } from './bound.ts'
import { losses } from './metrics.ts'
import type { Claim, LockStore } from './store.ts'

/** Why a lease ended before the work under it. */
export type LossReason = 'expired' | 'taken' | 'hold-limit' | 'unit-ended'

/**
 * A time-bound claim on one key or several. It is renewed at a third of its time, for as long as this process runs.
 *
 * Guaranteed: `signal` is aborted before the time is over, as far as this process can know it: by a monotonic clock, counted from before the
 * request that was last granted was sent, and a twentieth of the time early. Reading `signal` or `isHeld` looks at the clock.
 *
 * Not guaranteed: that nobody else has the lock while work goes on here. A process that is stopped, or whose event loop is blocked, finds out
 * when it goes on, and what it had sent arrives whenever it arrives. A clock of the server that jumps ahead ends a lease early. Hence the
 * token: guard each write with `fenced(lease)`.
 */
export interface Lease extends AsyncDisposable {
  /** In the order in which they were taken. */
  readonly keys: readonly string[]
  /** The token of the only key; for several `tokenOf`. @throws LOCK_KEYS_INVALID for a lease of several keys */
  readonly token: number
  /** Larger than that of every lease of this key before it, in any process, also after restarts. @throws LOCK_KEYS_INVALID */
  tokenOf(key: string): number
  /** False as soon as this process can know that the lease is over. */
  readonly isHeld: boolean
  /** Aborted with `LOCK_LOST` when the lease ends before its release. */
  readonly signal: AbortSignal
  /**
   * Gives all keys back. A lease that is over changes nothing: whoever has the keys now keeps them. Idempotent.
   *
   * @returns true where it had all of them until now
   * @throws what the datasource finds, and LOCK_UNANSWERED (`unknown`) after `ttlMs` without an answer, 2,000 ms at least: the keys are free when their
   * time is over
   */
  release(): Promise<boolean>
}

export interface LeaseTerms {
  readonly claim: Claim
  readonly holdMsMax: number
  /** Receives a renewal that failed: it is tried again. */
  readonly report: (error: unknown, what: string) => void
}

/** Of the lease's time: for a monotonic clock that runs slow, and a timer that is late. */
const early = 1 / 20

/** Between two tries of a renewal, in parts of the lease's time. */
const triesPerLease = 10

/** A release is waited for that long at least: a short lease is no reason to give up on a server that is busy. */
const releaseMsMin = 2000

/** A lease, from its first key to its end. Made outside any unit of work: its timers belong to none. */
export class HeldLease implements Lease {
  readonly #store: LockStore
  readonly #terms: LeaseTerms
  readonly #grants = new Map<string, { readonly token: number; until: number }>()
  readonly #abort = new AbortController()
  readonly #ended = Promise.withResolvers<never>()
  readonly #timers: { renewal?: NodeJS.Timeout; expiry?: NodeJS.Timeout; limit?: NodeJS.Timeout } = {}
  #released: Promise<boolean> | undefined
  #reason: LossReason | undefined

  constructor(store: LockStore, terms: LeaseTerms) {
    this.#store = store
    this.#terms = terms
    this.#ended.promise.catch(() => {})
  }

  get keys(): readonly string[] {
    return [...this.#grants.keys()]
  }

  get token(): number {
    const [grant, ...others] = this.#grants.values()
    if (grant && others.length === 0) return grant.token
    throw notOfLease(`Lease of ${this.keys.length} keys has a token for each: ask tokenOf(key)`, this.keys)
  }

  get isHeld(): boolean {
    const isOpen = this.#released === undefined && !this.#abort.signal.aborted
    if (isOpen && performance.now() >= this.#until) this.lose('expired')
    return isOpen && !this.#abort.signal.aborted
  }

  get signal(): AbortSignal {
    void this.isHeld
    return this.#abort.signal
  }

  /** Rejects when the lease is lost. */
  get ended(): Promise<never> {
    return this.#ended.promise
  }

  tokenOf(key: string): number {
    const grant = this.#grants.get(key)
    if (grant) return grant.token
    throw notOfLease(`Lease has no key ${key.slice(0, 100)}, only ${this.keys.join(', ')}`, this.keys)
  }

  /** Takes a key in; `asked` is when that was asked for, before the request was sent. */
  granted(key: string, token: number, asked: number): void {
    this.#grants.set(key, { token, until: asked + this.#terms.claim.ttlMs * (1 - early) })
    if (this.#grants.size > 1) return
    // From the first grant: a wait for it is bounded by itself, and holds nobody up.
    this.#timers.limit = setTimeout(() => this.lose('hold-limit'), this.#terms.holdMsMax)
    this.#expireAt(this.#until)
    this.#renewIn(this.#terms.claim.ttlMs / 3)
  }

  /** Ends it without giving anything back: what goes on under it may still believe in it. */
  lose(reason: LossReason): void {
    if (this.#released !== undefined || this.#abort.signal.aborted) return
    this.#stopTimers()
    losses.add(1, { reason })
    this.#reason = reason
    const error = this.lost(reason)
    this.#abort.abort(error)
    this.#ended.reject(error)
  }

  lost(reason: LossReason): Error {
    const { owner, ttlMs } = this.#terms.claim
    return consistencyError(
      'LOCK_LOST',
      `Lease of ${owner} on ${this.keys.join(', ')} ended before its work (${reason}): others may have the lock, and only writes ` +
        'that are guarded with fenced(lease) are kept from coming after theirs',
      { details: { keys: this.keys, owner, ttlMs, reason } },
    )
  }

  /** For a lease that is over before all of it was granted: nothing has been done under it. */
  lostBeforeWork(): Error {
    const { owner, ttlMs } = this.#terms.claim
    const reason: LossReason = this.#reason ?? 'expired'
    return consistencyError(
      'LOCK_LOST',
      `Lease of ${owner} was over (${reason}) before all its keys were granted: nothing was begun. Ask again, with a ttlMs that is longer ` +
        `than ${ttlMs} ms where that is common`,
      { outcome: 'not-applied', details: { keys: this.keys, owner, ttlMs, reason } },
    )
  }

  release(): Promise<boolean> {
    this.#released ??= this.#release(this.isHeld)
    return this.#released
  }

  async #release(wasHeld: boolean): Promise<boolean> {
    this.#stopTimers()
    const { keys } = this
    if (keys.length === 0) return wasHeld
    const { id, ttlMs } = this.#terms.claim
    const ms = Math.max(ttlMs, releaseMsMin)
    const answer = this.#store.release(keys, id)
    const released = await within(answer, { ms, expired: () => this.#unanswered('Release', ms) })
    return wasHeld && released === keys.length
  }

  #unanswered(what: 'Renewal' | 'Release', ms: number): Error {
    const { owner } = this.#terms.claim
    return consistencyError(
      'LOCK_UNANSWERED',
      `${what} of ${this.keys.join(', ')} by ${owner} was not answered within ${ms} ms: see whether the server of the locks is up`,
      { details: { keys: this.keys, owner, ms } },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  get #until(): number {
    return Math.min(...[...this.#grants.values()].map(({ until }) => until))
  }

  /** One that is not answered in its time is sent again, over another connection: the answer to either is one. */
  #renew(): void {
    const { claim } = this.#terms
    const { keys } = this
    const asked = performance.now()
    this.#store.renew(keys, claim).then(
      renewed => this.#renewed(asked, { keys, isAll: renewed === keys.length }),
      error => this.#failed(error),
    )
    this.#renewIn(claim.ttlMs / 3, () => {
      this.#terms.report(this.#unanswered('Renewal', claim.ttlMs / 3), this.#renewal)
      this.#renew()
    })
  }

  #renewed(asked: number, { keys, isAll }: { readonly keys: readonly string[]; readonly isAll: boolean }): void {
    if (!this.isHeld) return
    if (!isAll) {
      this.lose('taken')
      return
    }
    const { ttlMs } = this.#terms.claim
    for (const key of keys) {
      const grant = this.#grants.get(key)
      if (grant) grant.until = Math.max(grant.until, asked + ttlMs * (1 - early))
    }
    this.#expireAt(this.#until)
    this.#renewIn(ttlMs / 3 - (performance.now() - asked))
  }

  #failed(error: unknown): void {
    if (!this.isHeld) return
    this.#terms.report(error, this.#renewal)
    this.#renewIn(this.#terms.claim.ttlMs / triesPerLease)
  }

  get #renewal(): string {
    return `Renewal of a lease on ${this.keys.join(', ').slice(0, 200)}`
  }

  #renewIn(ms: number, renew = () => this.#renew()): void {
    clearTimeout(this.#timers.renewal)
    this.#timers.renewal = setTimeout(renew, Math.max(1, ms))
  }

  #expireAt(at: number): void {
    clearTimeout(this.#timers.expiry)
    this.#timers.expiry = setTimeout(() => this.#look(), Math.max(0, at - performance.now()))
  }

  /** A timer may be a little early. */
  #look(): void {
    if (this.isHeld) this.#expireAt(this.#until)
  }

  #stopTimers(): void {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer)
  }
}

const notOfLease = (message: string, keys: readonly string[]) =>
  consistencyError('LOCK_KEYS_INVALID', message, { details: { keys } })
