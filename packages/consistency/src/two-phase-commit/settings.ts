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

/** @throws CONFIG */
export function readBounds(given: Partial<Bounds>): Bounds {
  const leaseMs = whole('leaseMs', given.leaseMs ?? 10_000, { min: 100, max: leaseMsMax })
  const clockSkewMs = whole('clockSkewMs', given.clockSkewMs ?? 10_000, { min: 0, max: 3_600_000 })
  const entriesMax = whole('entriesMax', given.entriesMax ?? 1000, { min: 1, max: 100_000 })
  const windowMs = checkWindowMs(given.windowMs ?? 7 * 86_400_000)
  if (windowMs < leaseMs + clockSkewMs) {
    throw dbContextError(
      'CONFIG',
      `Option windowMs is ${windowMs} ms, but a write may come ${leaseMs + clockSkewMs} ms late (leaseMs + clockSkewMs)`,
      { details: { option: 'windowMs', got: windowMs, min: leaseMs + clockSkewMs } },
    )
  }
  return { leaseMs, clockSkewMs, entriesMax, windowMs }
}

/** @throws CONFIG */
export function whole(option: string, got: number, { min, max }: { min: number; max: number }): number {
  if (Number.isInteger(got) && got >= min && got <= max) return got
  throw dbContextError('CONFIG', `Option ${option} is ${got}, expected a whole number from ${min} to ${max}`, {
    details: { option, got },
  })
}
