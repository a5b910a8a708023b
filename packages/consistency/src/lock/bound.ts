export interface Bound {
  readonly ms: number
  readonly expired: () => Error
  readonly onSignal?: {
    readonly signal: AbortSignal | undefined
    /** How long the work has to end by itself once the signal is aborted. */
    readonly graceMs: number
    readonly aborted: (reason: unknown) => Error
  }
}

/**
 * Waits for something no longer than it may: what that still does is for the caller to undo. In a process that was stopped, what was answered
 * meanwhile counts: it is read after the timers and before what is set for the end of their turn.
 */
export async function within<T>(work: Promise<T>, { ms, expired, onSignal }: Bound): Promise<T> {
  const end = Promise.withResolvers<never>()
  let timer = setTimeout(() => setImmediate(() => end.reject(expired())), ms)
  const signal = onSignal?.signal
  const onAbort = () => {
    clearTimeout(timer)
    timer = setTimeout(() => end.reject(onSignal?.aborted(signal?.reason)), onSignal?.graceMs)
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, end.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
