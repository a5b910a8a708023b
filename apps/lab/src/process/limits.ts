import type { Settings } from '../settings.ts'

/** The bounds of one run, in milliseconds. */
export interface Limits {
  /** For a connection, a transaction, a call, an operation of the server. */
  readonly waitMs: number
  /** For documents that other work holds; absent is the product's default. */
  readonly lockWaitMs: number | undefined
}

/** The product's own default for connections, transactions and calls. */
const waitMsDefault = 30_000
/** So far beyond the lab's deadline that a hang is seen as one, and not as a timeout. */
const marginMs = 60_000

/**
 * Without levels every bound lies beyond the deadline, the lock wait included: what is shown is the hang that the bound would
 * turn into an error. With levels the defaults hold, so far as they do not cut the run itself short.
 */
export function limitsOf({ isolation, deadlineMs }: Settings): Limits {
  if (isolation === 'none') return { waitMs: deadlineMs + marginMs, lockWaitMs: deadlineMs + marginMs }
  return { waitMs: Math.max(waitMsDefault, deadlineMs), lockWaitMs: undefined }
}
