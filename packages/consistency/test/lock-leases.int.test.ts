import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { createLock } from '../src/lock/lock.ts'
import { useUnits } from './lock-stage.ts'

const { db, datasource, opened } = useUnits(`lock-leases-${randomUUID().slice(0, 8)}`)

test('a unit of work that ends while a lease is granted to it leaves no lease that nobody has', async () => {
  const { store, leases, isFree } = opened()
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const takeFree = store.takeFree.bind(store)
  store.takeFree = async (key, claim) => {
    const token = await takeFree(key, claim)
    asked.resolve()
    await answer.promise
    return token
  }
  const orphans: Promise<unknown>[] = []
  await db.run(async () => {
    orphans.push(leases.try('a', {}))
    await asked.promise
  })
  answer.resolve()
  const [orphan] = await Promise.allSettled(orphans)
  expect(orphan).toMatchObject({ reason: { code: 'CONTEXT_ENDED', outcome: 'not-applied' } })
  expect(await isFree('a')).toBe(true)
})

test('the wait for a lease is no part of holdMsMax', async () => {
  const { store, leases } = opened()
  await store.takeFree('a', { id: 'other', owner: 'other', ttlMs: 10_000, waits: false })
  const attempt = store.attempt.bind(store)
  const begun = performance.now()
  store.attempt = async (key, claim) => {
    if (performance.now() > begun + 1500) await store.release(['a'], 'other')
    return await attempt(key, claim)
  }
  const held = await db.run(() => leases.with('a', async lease => lease.isHeld, { holdMsMax: 1000 }))
  expect(held).toBe(true)
})

const lostBefore = { code: 'LOCK_LOST', outcome: 'not-applied', details: { reason: 'expired' } }

/** A store that takes longer for one key than a lease lasts, and renews none. */
function slowAt(slow: string) {
  const made = opened()
  const { store } = made
  const takeFree = store.takeFree.bind(store)
  store.takeFree = async (key, claim) => {
    if (key === slow) await new Promise(resolve => setTimeout(resolve, 2 * claim.ttlMs))
    return await takeFree(key, claim)
  }
  store.renew = () => Promise.reject(new Error('not now'))
  return made
}

test('work does not begin on a lease whose first key was lost before the last one was granted', async () => {
  const { leases, isFree } = slowAt('b')
  let began = false
  const work = async () => {
    began = true
  }
  const told = db.run(() => leases.with(['a', 'b'], work, { ttlMs: 100 }))
  await expect(told).rejects.toMatchObject(lostBefore)
  await expect.poll(() => Promise.all([isFree('a'), isFree('b')])).toEqual([true, true])
  expect(began).toBe(false)
})

test.each([
  ['a', ['a']],
  ['b', ['a', 'b']],
  ['b', ['a', 'b', 'c']],
])('nobody is given a lease that was over before %s was granted of %j', async (slow, keys) => {
  const { leases, isFree } = slowAt(slow)
  await expect(leases.try(keys, { ttlMs: 100 })).rejects.toMatchObject(lostBefore)
  await expect.poll(() => Promise.all(keys.map(isFree))).toEqual(keys.map(() => true))
})

test('who waits for a key while the one before it is lost is told that nothing began', async () => {
  const { store, leases, isFree } = opened()
  await store.takeFree('b', { id: 'other', owner: 'other', ttlMs: 10_000, waits: false })
  store.renew = () => Promise.reject(new Error('not now'))
  const told = db.run(() => leases.with(['a', 'b'], async () => 'never', { ttlMs: 100 }))
  await expect(told).rejects.toMatchObject(lostBefore)
  await expect.poll(async () => [await isFree('a'), (await store.read('b'))?.waiting]).toEqual([true, 0])
})

test('a signal that is aborted is heard where withLease does not wait, too', async () => {
  const { leases, isFree } = opened()
  const signal = AbortSignal.abort()
  const told = db.run(() => leases.with('a', async () => 'done', { waitMs: 0, signal }))
  await expect(told).rejects.toMatchObject({ code: 'ABORTED', outcome: 'not-applied' })
  expect(await isFree('a')).toBe(true)
})

test('a window that is shorter than an hour is refused', () => {
  expect(() => createLock({ db, datasource, windowMs: 3_599_999 })).toThrow('expected at least 3600000 ms')
  expect(() => createLock({ db, datasource, windowMs: 3_600_000 })).not.toThrow()
})

test('a lease that was lost is not held any more by the work that had it: it may ask anew', async () => {
  const { store, leases } = opened()
  await db.run(async () => {
    const lease = await leases.try('a', { ttlMs: 100 })
    await expect(leases.try('a', {})).rejects.toMatchObject({ code: 'LOCK_REENTRANT' })
    store.renew = async () => 0
    await expect.poll(() => lease?.isHeld).toBe(false)
    store.advance(100)
    const anew = await leases.try('a', {})
    expect(anew?.isHeld).toBe(true)
  })
})

test('work that throws before it gives a promise gives its lease back, and so does one that releases it twice', async () => {
  const { leases, isFree } = opened()
  const wrong = () => {
    throw new Error('at once')
  }
  await expect(db.run(() => leases.with('a', wrong, {}))).rejects.toThrow('at once')
  expect(await isFree('a')).toBe(true)
  const twice = leases.with('a', async lease => [await lease.release(), await lease.release()], {})
  expect(await twice).toEqual([true, true])
})
