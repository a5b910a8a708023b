import { type DbContext, dbContextError } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'
import { checkWindowMs } from '../expiring-rows.ts'
import { type Report, safely, warn } from '../report.ts'
import { oneKey } from './keys.ts'
import type { Lease } from './lease.ts'
import { Leases } from './leases.ts'
import { MongoLockStore } from './mongo-store.ts'
import { boundsOf, type LeaseOptions, ownerOf, type WaitOptions } from './options.ts'
import type { LockState } from './store.ts'

export interface LockOptions extends LeaseOptions {
  readonly db: Pick<DbContext, 'current' | 'locks'>
  /** Where the locks are. Its service pool is used, and its server's clock. */
  readonly datasource: MongoDatasource
  /** Default `strata.locks`. Locks of two collections have nothing to do with each other. */
  readonly collection?: string
  /** How this process calls itself, for people: default its host and process id. Two that have one name are still two. */
  readonly owner?: string
  /** The longest wait of `withLease` that names none: default 10,000 ms. */
  readonly waitMs?: number
  /** How long a lock that nobody takes is remembered: default 7 days, from an hour to a year. Its tokens go on growing after that. */
  readonly windowMs?: number
  /** Receives a renewal or a release that failed and whose lease will end by itself. Default: a process warning. */
  readonly report?: Report
}

/**
 * Locks over processes: leases with a time, which are renewed, and a token that the guarded write checks.
 *
 * Guaranteed: each grant of a key has a larger token than all before it. At any moment of the server's clock a key has one lease
 * that is not over. Several keys are taken in one order by everybody. Whoever waits gets its turn in the order of first
 * asking. Every wait ends.
 *
 * Not guaranteed: that work under a lease is alone (see {@link Lease}): that takes `fenced(lease)` on each write.
 */
export interface Lock {
  /**
   * Runs `fn` with a lease on all keys, and gives it back. Refused where something is held that may be waited for under the lock: a
   * transaction, a job's slot, a caller that awaits this work, a later lock; unless `waitMs` is 0. In a job that has done nothing yet,
   * a lock that is taken then puts the job back. When the lease is lost it rejects at once, whatever `fn` still does.
   * Outside any unit of work what `withLease` holds around it is refused likewise; a lease that `tryAcquire` gave is not known there, and
   * whoever has it waits for itself, until `waitMs`.
   *
   * @throws LOCK_WAIT_TIMEOUT, LOCK_ORDER, LOCK_REENTRANT, LOCK_KEYS_INVALID, LOCK_ROW_INVALID, CONFIG, ABORTED (all
   * `not-applied`), LOCK_LOST (`not-applied` before `fn` began, `unknown` after that), and what `fn` throws
   */
  withLease<T>(keys: string | readonly string[], fn: (lease: Lease) => Promise<T>, options?: WaitOptions): Promise<T>
  /**
   * Takes all keys if they are free and nobody waits for them. Never waits, and is allowed everywhere. Inside a unit of work its lease ends
   * with the unit at the latest. Where the store does not answer it ends after `ttlMs` for each key.
   *
   * @throws LOCK_REENTRANT, LOCK_KEYS_INVALID, LOCK_ROW_INVALID, CONFIG, LOCK_LOST for keys of which one was over before the last was
   * granted (all `not-applied`)
   */
  tryAcquire(keys: string | readonly string[], options?: LeaseOptions): Promise<Lease | undefined>
  /** Who holds a key, since when, and how many wait for it; undefined for one that nobody has asked for. @throws LOCK_KEYS_INVALID */
  inspect(key: string): Promise<LockState | undefined>
  /** The locks that are held, the oldest first: 100 by default, 10,000 at most. @throws CONFIG */
  list(options?: { readonly limit?: number }): Promise<LockState[]>
  /** Creates the collection, and the index that ends the window. Idempotent; for the start of a process. @throws DEFINITION_BLOCKED */
  ensureIndexes(): Promise<void>
}

const collectionDefault = 'strata.locks'
const windowMsDefault = 7 * 86_400_000
/** A lock in use is dated anew every ten minutes only, and must not be removed meanwhile. */
const windowMsMin = 3_600_000
const listDefault = 100
const listMax = 10_000

/** Makes locks; opens nothing. @throws CONFIG */
export function createLock(options: LockOptions): Lock {
  const { db, datasource, collection = collectionDefault, report = warn } = options
  const windowMs = checkWindowMs(options.windowMs ?? windowMsDefault)
  if (windowMs < windowMsMin) throw tooShort(windowMs)
  const store = new MongoLockStore(datasource, collection)
  const leases = new Leases({
    db,
    store,
    scope: `${datasource.name}/${collection}`,
    owner: ownerOf(options.owner),
    bounds: boundsOf(options),
    report: safely(report),
  })
  return {
    withLease: async (keys, fn, given = {}) => await leases.with(keys, fn, given),
    tryAcquire: async (keys, given = {}) => await leases.try(keys, given),
    inspect: async key => await store.read(oneKey(key)),
    list: async ({ limit = listDefault } = {}) => await store.held(checkListed(limit)),
    ensureIndexes: async () => await store.ensureIndexes(windowMs),
  }
}

/** @throws CONFIG */
function checkListed(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= listMax) return limit
  throw dbContextError('CONFIG', `Option limit is ${String(limit)}, expected a whole number of 1 to ${listMax}`, {
    details: { option: 'limit', got: limit },
  })
}

const tooShort = (windowMs: number) =>
  dbContextError('CONFIG', `Option windowMs is ${windowMs}, expected at least ${windowMsMin} ms`, {
    details: { option: 'windowMs', got: windowMs },
  })
