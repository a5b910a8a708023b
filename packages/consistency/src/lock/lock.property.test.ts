import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { followLock, lockSteps } from '../../test/lock-steps.ts'
import { fenced } from './fenced.ts'
import { HeldLease } from './lease.ts'
import { MemoryLockStore } from './memory-store.ts'
import type { Claim, LockStore } from './store.ts'
import { tryAll } from './waiting.ts'

const ttlMs = 1000

interface Written {
  readonly token: number
  readonly by: string
}

/** One document that takes guarded writes as MongoDB does: a filter on the largest token seen, and the token kept. */
class GuardedDocument {
  readonly writes: Written[] = []
  #seen = 0

  write(by: string, token: number, isGuarded: boolean): boolean {
    if (isGuarded && this.#seen > token) return false
    this.#seen = Math.max(this.#seen, token)
    this.writes.push({ by, token })
    return true
  }

  /** Writes that came after one of a newer lease. */
  get stale(): number {
    return this.writes.filter(({ token }, at) => this.writes.slice(0, at).some(earlier => earlier.token > token)).length
  }
}

/** A store whose every answer comes when the scheduler says. */
const scheduled = (store: LockStore, scheduler: fc.Scheduler): LockStore => ({
  attempt: scheduler.scheduleFunction((key, claim) => store.attempt(key, claim)),
  takeFree: scheduler.scheduleFunction((key, claim) => store.takeFree(key, claim)),
  renew: scheduler.scheduleFunction((keys, claim) => store.renew(keys, claim)),
  release: scheduler.scheduleFunction((keys, id) => store.release(keys, id)),
  leave: scheduler.scheduleFunction((key, id) => store.leave(key, id)),
  read: key => store.read(key),
  held: limit => store.held(limit),
})

interface Played {
  readonly stale: number
  readonly tokens: readonly number[]
}

/** Three holders that try, make a write ready, and send it whenever; time passes between any two steps, more than a lease's at once. */
async function play(scheduler: fc.Scheduler, isGuarded: boolean): Promise<Played> {
  const memory = new MemoryLockStore()
  const store = scheduled(memory, scheduler)
  const document = new GuardedDocument()
  const tokens: number[] = []
  const send = scheduler.scheduleFunction(async (by: string, token: number) => document.write(by, token, isGuarded))
  const holder = async (owner: string) => {
    for (let round = 0; round < 3; round += 1) {
      const claim: Claim = { id: `${owner}-${round}`, owner, ttlMs, waits: false }
      const lease = new HeldLease(store, { claim, holdMsMax: 60_000, report: () => {} })
      if (!(await tryAll(store, lease, { keys: ['a'], claim, signal: undefined }))) continue
      tokens.push(lease.token)
      // Throws for a lease that this process knows to be over: by its own clock none is, as in one that was stopped.
      fenced(lease)
      await send(owner, lease.token)
      await lease.release()
    }
  }
  for (let n = 0; n < 6; n += 1) scheduler.schedule(Promise.resolve(), 'time').then(() => memory.advance(ttlMs * 0.7))
  await scheduler.waitFor(Promise.all(['one', 'two', 'three'].map(holder)))
  return { stale: document.stale, tokens }
}

test('whatever the order of steps, no write comes after one of a newer lease, and no token is granted twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async scheduler => {
      const { stale, tokens } = await play(scheduler, true)
      expect(stale).toBe(0)
      expect(new Set(tokens).size).toBe(tokens.length)
    }),
    { numRuns: 200 },
  )
})

test('without the token the same runs show writes that come too late', async () => {
  let stale = 0
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async scheduler => {
      stale += (await play(scheduler, false)).stale
    }),
    { numRuns: 200, seed: 1 },
  )
  expect(stale).toBeGreaterThan(0)
})

const inMemory = () => {
  const store = new MemoryLockStore()
  return { store, advance: async (ms: number) => store.advance(ms), drop: async () => store.drop() }
}

describe('in any sequence of attempts, renewals, releases and time', () => {
  test('a key has one lease that is not over', async () => {
    await fc.assert(
      fc.asyncProperty(lockSteps(60), steps => followLock(inMemory(), steps)),
      { numRuns: 300 },
    )
  })

  test('and the check finds it where leases were to last longer than they do', async () => {
    const wrong = fc.asyncProperty(lockSteps(60), steps => followLock(inMemory(), steps, 2))
    await expect(fc.assert(wrong, { numRuns: 500 })).rejects.toThrow()
  })
})
