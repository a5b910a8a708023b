import { hostname } from 'node:os'
import { dbContextError } from '@strata/db-context'

/** The bounds of one lease. */
export interface LeaseOptions {
  /** How long a lease lasts that is not renewed, by the server's clock: default 10,000 ms, from 100 to 600,000. */
  readonly ttlMs?: number
  /** How long a lease may be kept at all: default 600,000 ms, at most a day. Then it is lost, and no longer renewed. */
  readonly holdMsMax?: number
}

export interface WaitOptions extends LeaseOptions {
  /** The longest wait, for all keys together: default 10,000 ms, 0 to 600,000. With 0 it does not wait, and may be asked for anywhere. */
  readonly waitMs?: number
  /** Gives up the wait, with `ABORTED`; the lease once it is there has its own signal. */
  readonly signal?: AbortSignal
}

export interface LeaseBounds {
  readonly ttlMs: number
  readonly holdMsMax: number
  readonly waitMs: number
}

const defaults: LeaseBounds = { ttlMs: 10_000, holdMsMax: 600_000, waitMs: 10_000 }
const dayMs = 86_400_000

/** @throws CONFIG */
export function boundsOf(given: Partial<LeaseBounds>, common: Partial<LeaseBounds> = {}): LeaseBounds {
  const ttlMs = given.ttlMs ?? common.ttlMs ?? defaults.ttlMs
  const holdMsMax = given.holdMsMax ?? common.holdMsMax ?? defaults.holdMsMax
  const waitMs = given.waitMs ?? common.waitMs ?? defaults.waitMs
  check('ttlMs', ttlMs, [100, 600_000])
  check('holdMsMax', holdMsMax, [1, dayMs])
  check('waitMs', waitMs, [0, 600_000])
  return { ttlMs, holdMsMax, waitMs }
}

function check(option: string, got: number, [min, max]: readonly [number, number]): void {
  if (Number.isInteger(got) && got >= min && got <= max) return
  throw config(option, got, `a whole number of ${min} to ${max} ms`)
}

/** @throws CONFIG */
export function ownerOf(given: string | undefined): string {
  const owner = given ?? `${hostname()} ${process.pid}`
  if (typeof owner === 'string' && owner.length >= 1 && owner.length <= 200 && owner.isWellFormed()) return owner
  throw config('owner', String(owner).slice(0, 100), 'a well-formed text of 1 to 200 characters')
}

const config = (option: string, got: unknown, expected: string) =>
  dbContextError('CONFIG', `Option ${option} is ${String(got)}, expected ${expected}`, { details: { option, got } })
