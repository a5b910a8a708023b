/**
 * A moment after which work is given up, in milliseconds on this process's monotonic clock; `Infinity` for none.
 * Monotonic, because a wall clock that is set back would turn a bounded wait into an unbounded one.
 */
export type Deadline = number

export const never: Deadline = Number.POSITIVE_INFINITY

/** setTimeout fires at once above this; a longer wait is armed for this long, which no unit of work reaches. */
const timerMsMax = 2 ** 31 - 1

export function deadlineIn(ms: number | undefined): Deadline {
  return ms === undefined ? never : performance.now() + ms
}

export function remainingMs(deadline: Deadline): number {
  return Math.max(0, deadline - performance.now())
}

/** Calls `expire` at the deadline; the timer does not keep the process alive. Call the result to disarm it. */
export function at(deadline: Deadline, expire: () => void): () => void {
  if (deadline === never) return () => {}
  const timer = setTimeout(expire, Math.min(Math.ceil(remainingMs(deadline)), timerMsMax))
  return () => clearTimeout(timer)
}
