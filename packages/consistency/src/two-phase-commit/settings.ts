import { dbContextError } from '@strata/db-context'
import { checkWindowMs } from '../expiring-rows.ts'
import type { Participant } from './participant.ts'
import type { Store } from './port.ts'
import type { ServerClock } from './server-clock.ts'
import type { Protocol } from './table.ts'

/** The bounds of an engine, in milliseconds and numbers. */
export interface Bounds {
  readonly leaseMs: number
  readonly windowMs: number
  readonly clockSkewMs: number
  readonly entriesMax: number
}

/** What every part of an engine works with. */
export interface Engine extends Bounds {
  readonly store: Store
  readonly protocol: Protocol
  readonly clock: ServerClock
  /** By name. */
  readonly participants: ReadonlyMap<string, Participant>
  readonly definitions: readonly string[]
  /** Waits before something is tried again. */
  readonly pause: (ms: number) => Promise<void>
  /** Milliseconds of a clock that never goes back. */
  readonly elapsedMs: () => number
}

/** Beyond it a lease is one of a clock that has been set back. */
export const leaseMsMax = 600_000

/** A claim's deadline is half a lease before its end, and a step has that long: whatever is written is written within the lease. */
export const stepMsOf = ({ leaseMs }: Pick<Bounds, 'leaseMs'>): number => Math.floor(leaseMs / 2)

/** Steps carry a deadline, and inserts cannot: one that came after the window would run its id a second time. */
const windowMsMin = 3_600_000

/** @throws CONFIG */
export function readBounds(given: Partial<Bounds>): Bounds {
  const leaseMs = whole('leaseMs', given.leaseMs ?? 10_000, { min: 100, max: leaseMsMax })
  const clockSkewMs = whole('clockSkewMs', given.clockSkewMs ?? 10_000, { min: 0, max: 3_600_000 })
  const entriesMax = whole('entriesMax', given.entriesMax ?? 1000, { min: 1, max: 100_000 })
  const windowMs = checkWindowMs(given.windowMs ?? 7 * 86_400_000)
  const min = windowMsMin + leaseMs + clockSkewMs
  if (windowMs < min) {
    throw dbContextError(
      'CONFIG',
      `Option windowMs is ${windowMs} ms, but a step may come ${leaseMs + clockSkewMs} ms late (leaseMs + clockSkewMs), and a record that ` +
        `is inserted has an hour: expected ${min} at least`,
      { details: { option: 'windowMs', got: windowMs, min } },
    )
  }
  return { leaseMs, clockSkewMs, entriesMax, windowMs }
}

/** Of transactions, in milliseconds. @throws CONFIG */
export const ageOf = ({ olderThanMs = 0 }: { readonly olderThanMs?: number }): number =>
  inRange('olderThanMs', olderThanMs, { min: 0, max: Number.MAX_SAFE_INTEGER })

/** @throws CONFIG */
export const limitOf = ({ limit = 100 }: { readonly limit?: number }): number =>
  whole('limit', limit, { min: 1, max: 1000 })

/** What a caller waits at the longest: as much as a timer takes. @throws CONFIG */
export const waitOf = (deadlineMs: number): number => inRange('deadlineMs', deadlineMs, { min: 0, max: 2 ** 31 - 1 })

interface Range {
  readonly min: number
  readonly max: number
}

/** @throws CONFIG */
export function whole(option: string, got: number, range: Range): number {
  if (Number.isInteger(got)) return inRange(option, got, range)
  throw dbContextError('CONFIG', `Option ${option} is ${got}, expected a whole number`, { details: { option, got } })
}

/** @throws CONFIG */
function inRange(option: string, got: number, { min, max }: Range): number {
  if (got >= min && got <= max) return got
  throw dbContextError('CONFIG', `Option ${option} is ${got}, expected ${min} to ${max}`, { details: { option, got } })
}
