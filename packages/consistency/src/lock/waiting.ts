import { setTimeout as sleep } from 'node:timers/promises'
import { type Deadline, dbContextError, hasCode, remainingMs } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import type { HeldLease } from './lease.ts'
import { acquisitions, waits } from './metrics.ts'
import type { Claim, LockStore } from './store.ts'

export interface Waiting {
  readonly claim: Claim
  readonly waitMs: number
  readonly deadline: Deadline
  readonly signal: AbortSignal | undefined
}

/** Whoever is first looks soon, and ever more seldom the longer the holder takes. */
const firstMs = { min: 4, max: 50 } as const

/** The others look only to see whether they are first by now, and to keep their places. */
const perPlaceMs = 15
const othersMsMax = 400

/**
 * Takes the keys one after the other, in the order that everybody takes them in, so that holders cannot wait for each other in a circle.
 * Whoever gets one of them only gives back what it had, and its place.
 *
 * @throws LOCK_WAIT_TIMEOUT, ABORTED, LOCK_LOST for a key that was lost meanwhile (all `not-applied`)
 */
export async function takeAll(store: LockStore, lease: HeldLease, keys: readonly string[], on: Waiting): Promise<void> {
  const begun = performance.now()
  let at = keys[0] ?? ''
  try {
    for (const key of keys) {
      at = key
      if (lease.signal.aborted) throw lease.lostBeforeWork()
      if (on.signal?.aborted) throw aborted(key, on.signal.reason)
      if (await takeFree(store, lease, { key, claim: on.claim })) continue
      await take(store, lease, key, on)
    }
  } catch (error) {
    await giveUp(store, lease, { key: at, id: on.claim.id })
    if (hasCode(error, 'LOCK_WAIT_TIMEOUT')) acquisitions.add(1, { result: 'timeout' })
    throw error
  }
  acquisitions.add(1, { result: 'granted' })
  waits.record((performance.now() - begun) / 1000)
}

/** Takes the keys if all of them are free now, and nobody waits for them. @returns false otherwise, with nothing kept */
export async function tryAll(
  store: LockStore,
  lease: HeldLease,
  { keys, claim, signal }: Pick<Waiting, 'claim' | 'signal'> & { readonly keys: readonly string[] },
): Promise<boolean> {
  try {
    for (const key of keys) {
      if (lease.signal.aborted) throw lease.lostBeforeWork()
      if (signal?.aborted) throw aborted(key, signal.reason)
      if (await takeFree(store, lease, { key, claim })) continue
      if (await tryOne(store, lease, { key, claim }).then(({ token }) => token !== undefined)) continue
      await lease.release()
      acquisitions.add(1, { result: 'busy' })
      return false
    }
  } catch (error) {
    await giveUp(store, lease, { key: undefined, id: claim.id })
    throw error
  }
  acquisitions.add(1, { result: 'granted' })
  return true
}

interface Asked {
  readonly key: string
  readonly claim: Claim
}

async function takeFree(store: LockStore, lease: HeldLease, { key, claim }: Asked): Promise<boolean> {
  const token = await asking(store, lease, { key, claim }, async () => ({ token: await store.takeFree(key, claim) }))
  return token.token !== undefined
}

const tryOne = (store: LockStore, lease: HeldLease, { key, claim }: Asked) =>
  asking(store, lease, { key, claim }, () => store.attempt(key, claim))

async function asking<A extends { readonly token: number | undefined }>(
  store: LockStore,
  lease: HeldLease,
  { key, claim }: Asked,
  ask: () => Promise<A>,
): Promise<A> {
  const asked = performance.now()
  try {
    const answer = await ask()
    if (answer.token !== undefined) lease.granted(key, answer.token, asked)
    return answer
  } catch (error) {
    // It may be granted, and its answer lost.
    await store.release([key], claim.id).catch(() => {})
    throw error
  }
}

async function take(store: LockStore, lease: HeldLease, key: string, on: Waiting): Promise<void> {
  const begun = performance.now()
  for (;;) {
    if (lease.signal.aborted) throw lease.lostBeforeWork()
    if (on.signal?.aborted) throw aborted(key, on.signal.reason)
    const attempt = await tryOne(store, lease, { key, claim: on.claim })
    if (attempt.token !== undefined) return
    const leftMs = remainingMs(on.deadline)
    if (leftMs === 0) throw await timeout(store, key, on)
    const pauseMs = pauseOf(attempt.before, performance.now() - begun) * (0.75 + Math.random() / 2)
    const signal = AbortSignal.any([lease.signal, ...(on.signal ? [on.signal] : [])])
    await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => {})
  }
}

function pauseOf(before: number | undefined, waitedMs: number): number {
  if (before === 0) return Math.min(firstMs.max, Math.max(firstMs.min, waitedMs / 4))
  return before === undefined ? othersMsMax : Math.min(othersMsMax, perPlaceMs * before)
}

/** What cannot be given back now is free when its time is over, and its place likewise: the error that comes is of another thing. */
async function giveUp(store: LockStore, lease: HeldLease, place: { key: string | undefined; id: string }) {
  const left = place.key === undefined ? undefined : store.leave(place.key, place.id)
  await Promise.allSettled([left, lease.release()])
}

async function timeout(store: LockStore, key: string, { claim, waitMs }: Waiting): Promise<Error> {
  const state = await store.read(key).catch(() => undefined)
  const { holder } = state ?? {}
  const by = holder ? `${holder.owner} has held it for ${Math.round(holder.ageMs)} ms` : 'others came first'
  return consistencyError(
    'LOCK_WAIT_TIMEOUT',
    `Lock ${key} was not free for ${claim.owner} within waitMs (${waitMs} ms): ${by}. Hold it for less, or wait for longer`,
    { details: { key, waitMs, holder: holder?.owner, ageMs: holder?.ageMs, waiting: state?.waiting } },
  )
}

export function aborted(key: string, reason: unknown): Error {
  if (hasCode(reason, 'DEADLINE_EXCEEDED') || hasCode(reason, 'ABORTED')) return reason
  return dbContextError('ABORTED', `Wait for lock ${key} was given up by its signal`, {
    outcome: 'not-applied',
    cause: reason,
  })
}
