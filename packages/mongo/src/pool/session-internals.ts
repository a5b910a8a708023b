import type { ClientSession } from 'mongodb'

/** What the driver's sessions have and do not publish; all of it may be gone in another version. */
interface Internals {
  unpin?(options?: { readonly force?: boolean }): void
  readonly pinnedConnection?: { readonly closed?: boolean }
}

/**
 * Calls `onAgain` when the driver is about to send a commit once more by itself, of which it tells nobody: it throws what came back
 * last. It lets go of its server first, on every topology, and that is what is seen here. Counting commands instead would cost an
 * event for each of them.
 */
export function watchSecondTry(session: ClientSession, onAgain: () => void): void {
  const internals = session as unknown as Internals
  const unpin = internals.unpin
  internals.unpin = options => {
    if (options?.force) onAgain()
    unpin?.call(session, options)
  }
}

/**
 * Lets go of a connection that a load balancer's session keeps and that has broken: when several break together, the driver does it
 * for the first alone, and sends whatever follows on the others to where nothing answers any more.
 */
export function leaveBrokenConnection(session: ClientSession): void {
  const internals = session as unknown as Internals
  if (internals.pinnedConnection?.closed) internals.unpin?.({ force: true })
}
