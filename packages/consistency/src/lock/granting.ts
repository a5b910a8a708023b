import { deadlineIn } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import { within } from './bound.ts'
import type { HeldLease } from './lease.ts'
import type { Claim, LockStore } from './store.ts'
import { aborted, takeAll, tryAll } from './waiting.ts'

/** What is asked for: whether it is waited for is the claim's to say. */
export interface Asking {
  readonly keys: readonly string[]
  readonly claim: Claim
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
}

/**
 * How long a store has, beyond the bound or the signal of a wait, to answer what is under way and to take back what was granted. Its own
 * bounds are those of a statement, half a minute and more.
 */
const silenceMs = 1000

/**
 * Has all keys granted to a lease, or none, within a bound of its own whatever the store does: what is granted after that is given back
 * behind the back of whoever has gone. A lease that was lost before all of it was there is given to nobody.
 *
 * @returns false where it does not wait, and one is taken
 * @throws LOCK_WAIT_TIMEOUT, ABORTED, LOCK_LOST (all `not-applied`), and what the store finds
 */
export async function granted(store: LockStore, lease: HeldLease, asking: Asking): Promise<boolean> {
  const { keys, claim, waitMs, signal } = asking
  const taking = claim.waits
    ? takeAll(store, lease, keys, { claim, waitMs, deadline: deadlineIn(waitMs), signal }).then(() => true)
    : tryAll(store, lease, { keys, claim, signal })
  const bound = {
    ms: claim.waits ? waitMs + silenceMs : keys.length * claim.ttlMs,
    expired: () => (claim.waits ? unanswered(asking) : lease.lostBeforeWork()),
    onSignal: { signal, graceMs: silenceMs, aborted: (reason: unknown) => aborted(keys[0] ?? '', reason) },
  }
  try {
    const isGranted = await within(Promise.race([taking, lease.ended]), bound)
    if (!isGranted || lease.isHeld) return isGranted
    await lease.release()
  } catch (error) {
    taking.then(() => lease.release()).catch(() => {})
    if (!lease.signal.aborted) throw error
  }
  throw lease.lostBeforeWork()
}

const unanswered = ({ keys, claim, waitMs }: Asking) =>
  consistencyError(
    'LOCK_WAIT_TIMEOUT',
    `Locks ${keys.slice(0, 5).join(', ')} were not granted to ${claim.owner} within waitMs (${waitMs} ms): their store has not ` +
      `answered for another ${silenceMs} ms. Try again when its server does`,
    { details: { key: keys[0], waitMs, silenceMs } },
  )
