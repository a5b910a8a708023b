import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { holdUp, useUnits } from './lock-stage.ts'

// A store that does not answer, as one whose server hangs: its own bound is half a minute and more.

const { db, opened } = useUnits(`lock-silence-${randomUUID().slice(0, 8)}`)

test.each(['takeFree', 'attempt'] as const)(
  'a wait ends at its bound or by its signal although %s is not answered, and what is granted later is given back',
  async verb => {
    const { store, leases, isFree } = opened()
    if (verb === 'attempt') store.takeFree = async () => undefined
    const answer = holdUp(store, verb)
    const stop = new AbortController()
    const wait = (key: string, waitMs: number, signal?: AbortSignal) =>
      db.run(() => leases.with(key, async () => 'never', { waitMs, ...(signal && { signal }) }))
    const given = wait('b', 600_000, stop.signal)
    const timeout = { code: 'LOCK_WAIT_TIMEOUT', outcome: 'not-applied', transient: true }
    await expect(wait('a', 50)).rejects.toMatchObject(timeout)
    stop.abort()
    await expect(given).rejects.toMatchObject({ code: 'ABORTED', outcome: 'not-applied' })
    answer()
    await expect.poll(() => Promise.all([isFree('a'), isFree('b')])).toEqual([true, true])
  },
)

test('a try ends when its lease would be over', async () => {
  const { store, leases, isFree } = opened()
  const answer = holdUp(store, 'takeFree')
  const told = { code: 'LOCK_LOST', outcome: 'not-applied', transient: true }
  await expect(leases.try('a', { ttlMs: 100 })).rejects.toMatchObject(told)
  await expect(db.run(() => leases.with('b', async () => 1, { waitMs: 0, ttlMs: 100 }))).rejects.toMatchObject(told)
  answer()
  await expect.poll(() => Promise.all([isFree('a'), isFree('b')])).toEqual([true, true])
})

test('work that has ended is not kept for longer than its lease by a release that is not answered, and it is told once', async () => {
  const { store, leases, reports } = opened()
  const answer = holdUp(store, 'release')
  expect(await db.run(() => leases.with('a', async () => 'done', { ttlMs: 200 }))).toBe('done')
  expect(reports).toEqual(['Release of a lease on a'])
  const lease = await leases.try('b', { ttlMs: 200 })
  await expect(lease?.release()).rejects.toMatchObject({ code: 'LOCK_UNANSWERED', outcome: 'unknown' })
  answer()
})

test('a release that fails is told once', async () => {
  const { store, leases, reports } = opened()
  store.release = () => Promise.reject(new Error('away'))
  expect(await db.run(() => leases.with('a', async () => 'done', {}))).toBe('done')
  await expect(db.run(() => leases.with('b', () => Promise.reject(new Error('wrong')), {}))).rejects.toThrow('wrong')
  expect(reports).toEqual(['Release of a lease on a', 'Release of a lease on b'])
})
