import type { Settings } from '../settings.ts'

/** The bounds of one run, in milliseconds. */
export interface Limits {
  /** For a connection, a transaction, a call, an operation of the server. */
  readonly waitMs: number
  /** For documents that other work holds. */
  readonly lockWaitMs: number
}

/** The product's own defaults. */
const waitMsDefault = 30_000
const lockWaitMsDefault = 2000
/** So far beyond the lab's deadline that a hang is seen as one, and not as a timeout. */
const marginMs = 60_000

/**
 * Without levels every bound lies beyond the deadline: what is shown is the hang that the bound would turn into an error. With
 * levels the defaults hold, raised to the deadline where they are shorter: a pause of a busy machine is not to look
 * like a hazard.
 */
export function limitsOf({ isolation, deadlineMs }: Settings): Limits {
  if (isolation === 'none') return { waitMs: deadlineMs + marginMs, lockWaitMs: deadlineMs + marginMs }
  return { waitMs: Math.max(waitMsDefault, deadlineMs), lockWaitMs: Math.max(lockWaitMsDefault, deadlineMs) }
}
