import { randomUUID } from 'node:crypto'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Leases } from '../src/lock/leases.ts'
import { createLock } from '../src/lock/lock.ts'
import { MemoryLockStore } from '../src/lock/memory-store.ts'

const database = `lock-leases-${randomUUID().slice(0, 8)}`
const datasource = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database })
const db = createDbContext({ datasources: [datasource] })

beforeAll(() => db.start())
afterAll(() => db.stop())

/** Leases in units of work, over a store whose answers a test can hold up. */
function opened() {
  const store = new MemoryLockStore()
  const bounds = { ttlMs: 10_000, holdMsMax: 600_000, waitMs: 5000 }
  const leases = new Leases({ db, store, scope: 'memory', owner: 'one', bounds, report: () => {} })
  const isFree = async (key: string) => (await store.read(key))?.holder === undefined
  return { store, leases, isFree }
}

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

test('work does not begin on a lease whose first key was lost before the last one was granted', async () => {
  const { store, leases, isFree } = opened()
  const takeFree = store.takeFree.bind(store)
  store.takeFree = async (key, claim) => {
    if (key === 'b') await new Promise(resolve => setTimeout(resolve, 2 * claim.ttlMs))
    return await takeFree(key, claim)
  }
  store.renew = () => Promise.reject(new Error('not now'))
  let began = false
  const work = async () => {
    began = true
  }
  const told = db.run(() => leases.with(['a', 'b'], work, { ttlMs: 100 }))
  await expect(told).rejects.toMatchObject({ code: 'LOCK_LOST', details: { reason: 'expired' } })
  expect([began, await isFree('a'), await isFree('b')]).toEqual([false, true, true])
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
