import { randomUUID } from 'node:crypto'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { lockStoreCases, type TriedStore } from '../src/lock/conformance.ts'
import { MongoLockStore } from '../src/lock/mongo-store.ts'
import { followLock, lockSteps } from './lock-steps.ts'

const database = `lock-store-${randomUUID().slice(0, 8)}`
const datasource = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database })
const db = createDbContext({ datasources: [datasource] })
const collections: string[] = []

beforeAll(() => db.start())

afterAll(async () => {
  for (const name of collections) await datasource.service.collection(name).drop()
  await db.stop()
})

/** The server's clock cannot be moved: what was written is moved the other way. */
function opened(): TriedStore {
  const name = `locks-${randomUUID()}`
  collections.push(name)
  const locks = datasource.service.collection(name)
  const ago = (field: string, ms: number) => ({ $subtract: [field, ms] })
  const advance = async (ms: number) => {
    const place = { id: '$$place.id', until: ago('$$place.until', ms) }
    const queue = { $map: { input: '$queue', as: 'place', in: place } }
    const moved = { since: ago('$lease.since', ms), until: ago('$lease.until', ms) }
    const lease = { $cond: ['$lease.id', { $mergeObjects: ['$lease', moved] }, '$$REMOVE'] }
    await locks.updateMany({}, [{ $set: { queue, lease } }])
  }
  return { store: new MongoLockStore(datasource, name), advance, drop: async () => void (await locks.drop()) }
}

test.each(Object.entries(lockStoreCases))('locks in MongoDB: %s', async (_, run) => {
  await run(opened())
})

test('locks in MongoDB: in any sequence of steps a key has one lease that is not over', async () => {
  await fc.assert(
    fc.asyncProperty(lockSteps(25), steps => followLock(opened(), steps)),
    { numRuns: 8 },
  )
})

test('locks in MongoDB: a lock is dated by the clock of the server, not of the process that makes it', async () => {
  const { store } = opened()
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2100, 0) })
  try {
    await store.attempt('a', { id: 'one', owner: 'one', ttlMs: 10_000, waits: false })
  } finally {
    vi.useRealTimers()
  }
  const lock = await datasource.service.collection(collections.at(-1) ?? '').findOne({})
  expect(lock?.['at'].getTime()).toBeLessThan(Date.UTC(2099, 0))
})
