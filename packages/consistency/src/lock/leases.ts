import { randomUUID } from 'node:crypto'
import { type DbContext, dbContextError, hasCode, type KeptLocks } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import { outside } from '../outside.ts'
import type { Report } from '../report.ts'
import { granted } from './granting.ts'
import { sortedKeys } from './keys.ts'
import { HeldLease, type Lease } from './lease.ts'
import { boundsOf, type LeaseBounds, type LeaseOptions, type WaitOptions } from './options.ts'
import type { LockStore } from './store.ts'

export interface LeasesOptions {
  readonly db: Pick<DbContext, 'current' | 'locks'>
  readonly store: LockStore
  /** Before each key, the name of its lock in the order of all locks. */
  readonly scope: string
  readonly owner: string
  readonly bounds: LeaseBounds
  readonly report: Report
}

type Keys = string | readonly string[]

/** One lease to be: its keys, its bounds, and its names in the one order. */
interface Wanted {
  readonly keys: readonly string[]
  readonly bounds: LeaseBounds
  readonly kept: KeptLocks
}

interface Work<T> {
  readonly wanted: Wanted
  readonly unit: AbortSignal | undefined
  readonly fn: (lease: Lease) => Promise<T>
}

/** Grants leases within the one rule, and has them end with the work under them. */
export class Leases {
  readonly #options: LeasesOptions

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  async with<T>(given: Keys, fn: (lease: Lease) => Promise<T>, options: WaitOptions): Promise<T> {
    const { db, store } = this.#options
    const wanted = this.#want(given, options)
    const { keys, bounds, kept } = wanted
    const waits = bounds.waitMs > 0
    if (waits) db.locks.refuseWait(kept)
    const unit = this.#unitSignal()
    const { held, claim } = this.#lease(bounds, waits)
    const signal = unit && options.signal ? AbortSignal.any([unit, options.signal]) : (unit ?? options.signal)
    const asking = { keys, claim, waitMs: bounds.waitMs, signal }
    if (!(await outside(() => granted(store, held, asking)))) throw busy(keys)
    return await this.#under(held, { wanted, unit, fn })
  }

  async try(given: Keys, options: LeaseOptions): Promise<Lease | undefined> {
    const { db, store } = this.#options
    const { keys, bounds, kept } = this.#want(given, options)
    const unit = this.#unitSignal()
    const { held, claim } = this.#lease(bounds, false)
    if (!(await outside(() => granted(store, held, { keys, claim, waitMs: 0, signal: unit })))) return undefined
    try {
      unit?.throwIfAborted()
      const forget = db.locks.keep(kept, async () => {
        // Work that was given up may go on: its lease is left to its time.
        if (unit?.aborted) held.lose('unit-ended')
        else await this.#release(held)
      })
      // What was lost is not held any more: it may be asked for again.
      held.signal.addEventListener('abort', forget, { once: true })
      return leaseOf(held, forget)
    } catch (error) {
      // The unit has ended meanwhile: nobody gets this lease, and it would be renewed for nobody.
      await this.#release(held)
      throw error
    }
  }

  /** Work that outlives its lease is left behind: its caller hears of the loss at once. */
  async #under<T>(lease: HeldLease, { wanted, unit, fn }: Work<T>): Promise<T> {
    if (unit?.aborted) {
      await this.#release(lease)
      throw unit.reason
    }
    const value = await this.#during(lease, { wanted, unit, fn })
    if ((await this.#release(lease)) === false) throw lease.lost('taken')
    return value
  }

  async #during<T>(lease: HeldLease, { wanted, unit, fn }: Work<T>): Promise<T> {
    const onUnitEnd = () => lease.lose('unit-ended')
    unit?.addEventListener('abort', onUnitEnd, { once: true })
    try {
      const body = async () => await fn(leaseOf(lease))
      const value = await Promise.race([this.#options.db.locks.within(wanted.kept, body), lease.ended])
      lease.signal.throwIfAborted()
      return value
    } catch (error) {
      // Lost, it is left to its time: what still goes on under it has that long to see its signal.
      if (!lease.signal.aborted) await this.#release(lease)
      throw error
    } finally {
      unit?.removeEventListener('abort', onUnitEnd)
    }
  }

  /** @returns undefined where the store did not tell: the lease then ends by itself */
  async #release(lease: HeldLease): Promise<boolean | undefined> {
    try {
      return await outside(() => lease.release())
    } catch (error) {
      this.#options.report(error, `Release of a lease on ${lease.keys.join(', ').slice(0, 200)}`)
      return undefined
    }
  }

  /** @throws LOCK_KEYS_INVALID, CONFIG, LOCK_REENTRANT */
  #want(given: Keys, options: Partial<LeaseBounds>): Wanted {
    const { db, scope, bounds: common } = this.#options
    const keys = sortedKeys(given)
    const names = keys.map(key => `${scope}/${key}`)
    const what = keys.length === 1 ? `lock ${keys[0]}` : `locks ${keys.slice(0, 5).join(', ')}`
    const bounds = boundsOf(options, common)
    const own = db.locks.heldBy(names)
    if (own) throw reentrant(own.name.slice(scope.length + 1), own.holder)
    return { keys, bounds, kept: { names, what } }
  }

  #lease(bounds: LeaseBounds, waits: boolean) {
    const { store, owner, report } = this.#options
    const claim = { id: randomUUID(), owner, ttlMs: bounds.ttlMs, waits }
    const held = outside(() => new HeldLease(store, { claim, holdMsMax: bounds.holdMsMax, report }))
    return { held, claim }
  }

  #unitSignal(): AbortSignal | undefined {
    try {
      return this.#options.db.current.signal
    } catch (error) {
      if (hasCode(error, 'CONTEXT_MISSING')) return undefined
      throw error
    }
  }
}

/** A lease as work sees it: its statements are no effects of the unit of work that asks for them. */
function leaseOf(held: HeldLease, forget: () => void = () => {}): Lease {
  const release = async () => {
    forget()
    return await outside(() => held.release())
  }
  return {
    get keys() {
      return held.keys
    },
    get token() {
      return held.token
    },
    get isHeld() {
      return held.isHeld
    },
    get signal() {
      return held.signal
    },
    tokenOf: key => held.tokenOf(key),
    release,
    [Symbol.asyncDispose]: async () => void (await release()),
  }
}

const reentrant = (key: string, holder: string) =>
  consistencyError(
    'LOCK_REENTRANT',
    `Lock ${key} is held by this very work (${holder}): it would wait for itself. Hand the lease on, or take the lock once`,
    { details: { key, holder } },
  )

/** With a cause by which the worker of a job puts it back: a slot must not wait for whoever holds the lock. */
function busy(keys: readonly string[]) {
  const message = `One of the locks ${keys.slice(0, 5).join(', ')} is taken, and waitMs is 0: try again later`
  const cause = dbContextError('MESSAGE_IN_PROGRESS', message, { details: { keys } })
  return consistencyError('LOCK_WAIT_TIMEOUT', message, { details: { keys, waitMs: 0 }, cause })
}
