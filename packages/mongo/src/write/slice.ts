/** The first slice, in milliseconds: long enough for most writes, short enough for whoever waits for the connection. */
export const sliceMsFirst = 200

/** The bounds of one blocked write, in milliseconds of the server's time; what waits for a permit is bounded elsewhere. */
export interface SliceBounds {
  readonly lockWaitMs: number
  readonly operationMs: number
  /** The operation's own `maxTimeMS`. */
  readonly userMs: number | undefined
}

/** How far a write has come. */
export interface SliceProgress {
  readonly spentMs: number
  readonly lastMs: number
}

export interface Slice {
  readonly ms: number
  /** What the write has come up against when the server gives this slice up. */
  readonly onExpiry: 'again' | 'lock' | 'operation' | 'user' | 'deadline'
}

export const notBegun: SliceProgress = { spentMs: 0, lastMs: 0 }

export const afterSlice = (progress: SliceProgress, slice: Slice): SliceProgress => ({
  spentMs: progress.spentMs + slice.ms,
  lastMs: slice.ms,
})

/** What a write that waited without a connection, or was refused, has spent; its slices go on from where they were. */
export const afterPause = (progress: SliceProgress, ms: number): SliceProgress => ({
  spentMs: progress.spentMs + ms,
  lastMs: progress.lastMs,
})

/**
 * The next slice of a write. Slices double, because a constant one never lets a write through that is slow and not blocked;
 * the last takes all that is left rather than leave less than itself, so that with 2,000 ms a write of up to 1,400 ms
 * succeeds.
 *
 * `deadlineMs` is what is left until the deadline, which goes on while the write waits for a permit.
 */
export function nextSlice(progress: SliceProgress, bounds: SliceBounds, deadlineMs: number): Slice {
  const wishedMs = progress.lastMs === 0 ? sliceMsFirst : progress.lastMs * 2
  const limit = tightest(progress.spentMs, bounds, deadlineMs)
  return limit.ms - wishedMs < wishedMs ? limit : { ms: wishedMs, onExpiry: 'again' }
}

function tightest(spentMs: number, bounds: SliceBounds, deadlineMs: number): Slice {
  const limits: Slice[] = [
    { ms: bounds.lockWaitMs - spentMs, onExpiry: 'lock' },
    { ms: bounds.operationMs - spentMs, onExpiry: 'operation' },
    { ms: deadlineMs, onExpiry: 'deadline' },
  ]
  if (bounds.userMs) limits.push({ ms: bounds.userMs - spentMs, onExpiry: 'user' })
  const { ms, onExpiry } = limits.reduce((least, limit) => (limit.ms < least.ms ? limit : least))
  return { ms: Math.max(1, Math.ceil(ms)), onExpiry }
}
