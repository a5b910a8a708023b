/** Whatever a piece of work is given up with. */
export interface Outer {
  readonly signal: AbortSignal
  /** Calls `listener` when it is given up. Call the result to stop that. */
  onAbort(listener: () => void): () => void
}

/** The same of a signal alone. */
export function outerOf(signal: AbortSignal): Outer {
  return {
    signal,
    onAbort: listener => {
      signal.addEventListener('abort', listener, { once: true })
      return () => signal.removeEventListener('abort', listener)
    },
  }
}
