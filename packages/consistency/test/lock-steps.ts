import fc from 'fast-check'
import { expect } from 'vitest'
import type { TriedStore } from '../src/lock/conformance.ts'
import { placeMs } from '../src/lock/store.ts'

/** Of the leases in these sequences, in milliseconds: far more than a sequence takes by a clock that cannot be stopped. */
const ttlMs = 600_000

type Verb = 'attempt' | 'takeFree' | 'renew' | 'release' | 'leave'

/** What one of three does, or how long nobody does anything. */
export type LockStep = { readonly verb: Verb; readonly who: string; readonly waits: boolean } | { readonly ms: number }

/** Attempts, renewals, releases and time, in any order, on one key. */
export const lockSteps = (maxLength: number) =>
  fc.array(
    fc.oneof<fc.Arbitrary<LockStep>[]>(
      fc.record({
        verb: fc.constantFrom<Verb[]>('attempt', 'attempt', 'takeFree', 'renew', 'release', 'leave'),
        who: fc.constantFrom('one', 'two', 'three'),
        waits: fc.boolean(),
      }),
      fc.constantFrom(placeMs + 100, ttlMs / 2, ttlMs).map(ms => ({ ms })),
    ),
    { maxLength },
  )

/**
 * Follows a sequence on a store that has nothing in it: while a lease is not over nobody else is granted the key, and each grant's
 * token is larger than all before it. `lasts` is how long it believes in a lease, in parts of its time: more than 1 is wrong.
 */
export async function followLock(tried: TriedStore, steps: readonly LockStep[], lasts = 1): Promise<void> {
  const follower = new Follower(tried, ttlMs * lasts)
  for (const step of steps) await follower.take(step)
}

class Follower {
  readonly #tried: TriedStore
  readonly #lastsMs: number
  #now = 0
  #holder: { who: string; until: number } | undefined
  #token = 0

  constructor(tried: TriedStore, lastsMs: number) {
    this.#tried = tried
    this.#lastsMs = lastsMs
  }

  async take(step: LockStep): Promise<void> {
    if ('ms' in step) {
      this.#now += step.ms
      await this.#tried.advance(step.ms)
      return
    }
    const { verb, who, waits } = step
    const { store } = this.#tried
    const claim = { id: who, owner: who, ttlMs, waits }
    if (verb === 'leave') await store.leave('a', who)
    else if (verb === 'renew') this.#renewed(await store.renew(['a'], claim))
    else if (verb === 'release') this.#released(await store.release(['a'], who))
    else if (verb === 'takeFree') this.#granted(who, await store.takeFree('a', claim))
    else this.#granted(who, (await store.attempt('a', claim)).token)
  }

  #renewed(count: number): void {
    if (count > 0 && this.#holder) this.#holder.until = this.#now + this.#lastsMs
  }

  #released(count: number): void {
    if (count > 0) this.#holder = undefined
  }

  #granted(who: string, token: number | undefined): void {
    if (token === undefined) return
    const isLive = this.#holder !== undefined && this.#holder.until > this.#now
    if (isLive) expect([this.#holder?.who, this.#token]).toEqual([who, token])
    if (token === this.#token) return
    expect(token).toBeGreaterThan(this.#token)
    this.#token = token
    this.#holder = { who, until: this.#now + this.#lastsMs }
  }
}
