/** What `within` resolves with when the time was up first. */
export const late = Symbol('late')

/** Bounds a wait: the promise goes on, its later failure is no unhandled rejection, and nobody waits for it. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | typeof late> {
  const { promise: timeUp, resolve } = Promise.withResolvers<typeof late>()
  const timer = setTimeout(() => resolve(late), ms)
  promise.catch(() => {})
  try {
    return await Promise.race([promise, timeUp])
  } finally {
    clearTimeout(timer)
  }
}
