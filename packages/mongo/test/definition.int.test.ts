import { gate } from '@strata/testkit'
import { expect, inject, it } from 'vitest'
import { type Harness, type HarnessOptions, startHarness } from './harness.ts'
import { holding } from './holder.ts'

interface Item {
  _id: number
  at?: number
}

const writesMax = 20
const seconds = 3

/** An index is to be defined while a transaction of another program is open; meanwhile others write the collection. */
async function defineBehind(options: Partial<HarnessOptions>) {
  const harness = await startHarness({ url: inject('mongoUrl'), ...options })
  const outside = harness.plain.db(harness.database).collection<Item>('items')
  await outside.insertOne({ _id: 0 })
  const open = gate()
  const { ended } = await holding(harness.plain, open, session =>
    outside.updateOne({ _id: 0 }, { $set: { at: 1 } }, { session }),
  )
  const index = harness.store.service
    .collection<Item>('items')
    .createIndex({ at: 1 })
    .catch(error => error)
  const began = performance.now()
  let longestMs = 0
  for (let _id = 1; _id <= writesMax && performance.now() - began < seconds * 1000; _id += 1) {
    const before = performance.now()
    await harness.db.run(() => harness.store.collection<Item>('items').insertOne({ _id })).catch(() => {})
    longestMs = Math.max(longestMs, performance.now() - before)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  const release = async () => {
    open.open()
    await ended
  }
  return { harness, index, longestMs, release, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() }
}

it('lets others through while an open transaction keeps it waiting, and is done when that ends', async () => {
  await using stage = await defineBehind({})
  // The longest try is half of lockWaitMs.
  expect(stage.longestMs).toBeLessThan(1900)
  await stage.release()
  expect(await stage.index).toBe('at_1')
})

it('without tries keeps every writer waiting that comes after it: the symptom', async () => {
  await using stage = await defineBehind({ operationTimeoutMs: 2500, context: { isolation: 'none' } })
  expect(stage.longestMs).toBeGreaterThan(2000)
  await stage.release()
})

it('ends after definitionTimeoutMs with nothing done', async () => {
  await using stage = await defineBehind({ definitionTimeoutMs: 1000 })
  expect(await stage.index).toMatchObject({ code: 'DEFINITION_BLOCKED', outcome: 'not-applied', transient: true })
  const names = await stage.harness.db.run(() => stage.harness.store.collection('items').indexInformation())
  expect(Object.keys(names)).toEqual(['_id_'])
  await stage.release()
})

it.each<[string, (harness: Harness) => Promise<unknown>]>([
  ['createIndex', ({ store }) => store.service.collection<Item>('items').createIndex({ at: 1 })],
  ['createIndexes', ({ store }) => store.service.collection<Item>('items').createIndexes([{ key: { at: 1 } }])],
  ['drop', ({ store }) => store.service.collection<Item>('items').drop()],
  ['createCollection', ({ store }) => store.service.createCollection('more')],
])('refuses %s in a transaction and in a called job, and allows it in a pushed one', async (_, define) => {
  await using harness = await startHarness({ url: inject('mongoUrl') })
  const { db } = harness
  await harness.plain.db(harness.database).createCollection('items')
  const job = { name: 'job', id: 'job-1', level: 1, lane: { queue: 'q', level: 1 } }
  const caller = { kind: 'run' as const, name: 'request', id: 'run-1', level: 0 }
  const refused = { code: 'DEFINITION_REFUSED', outcome: 'not-applied' }
  const inTransaction = db.run(() => db.transaction.begin(() => define(harness)))
  expect(await inTransaction.catch(error => error)).toMatchObject(refused)
  const called = db.propagator.run({ ...job, chain: [caller] }, () => define(harness))
  expect(await called.catch(error => error)).toMatchObject(refused)
  await db.propagator.run({ ...job, chain: [] }, () => define(harness))
})

it('with a maxTimeMS of its own is sent once', async () => {
  await using harness = await startHarness({ url: inject('mongoUrl') })
  const items = harness.store.service.collection<Item>('items')
  expect(
    await items.createIndexes([{ key: { at: 1 } }, { key: { at: -1 }, name: 'down' }], { maxTimeMS: 5000 }),
  ).toEqual(['at_1', 'down'])
})
