import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fenced } from './fenced.ts'
import { HeldLease } from './lease.ts'
import { MemoryLockStore } from './memory-store.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const ttlMs = 3000
const claim = { id: 'one', owner: 'one', ttlMs, waits: false }

/** A lease of one key, and when its renewals were asked for, in ms since its grant. */
async function granted(renew: (store: MemoryLockStore) => Promise<number>) {
  const store = new MemoryLockStore()
  const reports: unknown[] = []
  const lease = new HeldLease(store, { claim, holdMsMax: 60_000, report: error => void reports.push(error) })
  const asked = performance.now()
  lease.granted('a', (await store.takeFree('a', claim)) ?? 0, asked)
  const renewals: number[] = []
  const renewed = store.renew.bind(store)
  const other = { renew: renewed } as MemoryLockStore
  store.renew = () => {
    renewals.push(performance.now() - asked)
    return renew(other)
  }
  return { store, lease, reports, renewals }
}

test('a lease is renewed at a third of its time, and from there again', async () => {
  const { lease, renewals } = await granted(store => store.renew(['a'], claim))
  await vi.advanceTimersByTimeAsync(3 * ttlMs)
  expect(renewals).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map(third => (third * ttlMs) / 3))
  expect(lease.isHeld).toBe(true)
  await lease.release()
  await vi.advanceTimersByTimeAsync(3 * ttlMs)
  expect(renewals).toHaveLength(9)
})

test.each([
  ['are refused', async () => Promise.reject(new Error('away')), 7],
  ['are not answered', () => new Promise<never>(() => {}), 1],
])('the signal is aborted before the time is over where renewals %s, and that is told', async (_, renew, tries) => {
  const { lease, reports } = await granted(renew)
  const { signal } = lease
  await vi.advanceTimersByTimeAsync(ttlMs * 0.95 - 1)
  expect([signal.aborted, lease.isHeld]).toEqual([false, true])
  await vi.advanceTimersByTimeAsync(1)
  expect(signal.reason).toMatchObject({ code: 'LOCK_LOST', outcome: 'unknown', details: { reason: 'expired' } })
  expect(reports).toHaveLength(tries)
  await expect(lease.ended).rejects.toBe(signal.reason)
})

test('one renewal that fails is tried again in time, and nothing is lost', async () => {
  let tries = 0
  const { lease, renewals, reports } = await granted(async store => {
    tries += 1
    if (tries === 1) throw new Error('an election')
    return await store.renew(['a'], claim)
  })
  await vi.advanceTimersByTimeAsync(ttlMs)
  expect(renewals.slice(0, 2)).toEqual([ttlMs / 3, ttlMs / 3 + ttlMs / 10])
  expect([lease.isHeld, reports.length]).toEqual([true, 1])
  await lease.release()
})

test('a renewal that is not answered is sent again beside it, and a late answer counts from when it was asked for', async () => {
  const answers: ((renewed: number) => void)[] = []
  const { lease, renewals } = await granted(() => new Promise(resolve => void answers.push(resolve)))
  await vi.advanceTimersByTimeAsync(ttlMs * 0.9)
  expect(renewals).toEqual([ttlMs / 3, (2 * ttlMs) / 3])
  answers[0]?.(1)
  await vi.advanceTimersByTimeAsync(ttlMs / 3 + ttlMs * 0.95 - ttlMs * 0.9 - 1)
  expect(lease.isHeld).toBe(true)
  await vi.advanceTimersByTimeAsync(1)
  expect(lease.isHeld).toBe(false)
})

test('a lease that somebody else has by now is lost at its next renewal', async () => {
  const { lease } = await granted(async () => 0)
  await vi.advanceTimersByTimeAsync(ttlMs / 3)
  expect(lease.signal.reason).toMatchObject({ details: { reason: 'taken' } })
})

test('a process that was stopped knows at its first look, before any of its timers, and does not renew what was lost', async () => {
  vi.useRealTimers()
  const store = new MemoryLockStore()
  const short = { ...claim, ttlMs: 100 }
  const lease = new HeldLease(store, { claim: short, holdMsMax: 60_000, report: () => {} })
  lease.granted('a', (await store.takeFree('a', short)) ?? 0, performance.now())
  const { signal } = lease
  const renew = vi.spyOn(store, 'renew')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
  expect(() => fenced(lease)).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }))
  expect([signal.aborted, lease.isHeld]).toEqual([true, false])
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(renew).not.toHaveBeenCalled()
})

test('a lease counts from before its grant was asked for, and is over where that took its whole time', () => {
  const lease = new HeldLease(new MemoryLockStore(), { claim, holdMsMax: 60_000, report: () => {} })
  lease.granted('a', 1, performance.now() - ttlMs)
  expect(lease.isHeld).toBe(false)
})
