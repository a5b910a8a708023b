export interface Bound {
  readonly ms: number
  readonly expired: () => Error
  readonly signal?: AbortSignal | undefined
  readonly aborted?: (reason: unknown) => Error
}

/** Waits for something no longer than it may: what that still does is for the caller to undo. */
export async function within<T>(work: Promise<T>, { ms, expired, signal, aborted }: Bound): Promise<T> {
  const end = Promise.withResolvers<never>()
  const timer = setTimeout(() => end.reject(expired()), ms)
  const onAbort = () => end.reject(aborted ? aborted(signal?.reason) : signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, end.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
