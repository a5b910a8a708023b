import { gate } from '@strata/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'
import { holding } from './holder.ts'

interface Counter {
  _id: number
  n?: number
  email?: string
}

const lockWaitMs = 1000

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('an upsert on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 1 }, context: { lockWaitMs } })
    await harness.plain.db(harness.database).createCollection('counters')
    await outside().createIndex({ email: 1 }, { unique: true, sparse: true })
  })
  afterAll(() => harness[Symbol.asyncDispose]())
  beforeEach(() => outside().deleteMany({}))

  const counters = () => harness.store.collection<Counter>('counters')
  const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')
  const hold = (open: ReturnType<typeof gate>) =>
    holding(harness.plain, open, session => outside().insertOne({ _id: 1, n: 100 }, { session }))

  it('gives its connection back while a key that an open transaction inserted blocks it, and is applied once', async () => {
    const { db } = harness
    const open = gate()
    const { ended } = await hold(open)
    const upsert = db.run(() => counters().updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true }))
    const others = []
    for (let i = 0; i < 5; i += 1) others.push(await db.run(() => counters().insertOne({ _id: 10 + i })))
    expect(others).toHaveLength(5)
    open.open()
    await ended
    expect(await upsert).toMatchObject({ matchedCount: 1, modifiedCount: 1, upsertedCount: 0 })
    expect(await outside().findOne({ _id: 1 })).toEqual({ _id: 1, n: 101 })
  })

  it.each([
    ['updateOne', () => counters().updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true })],
    ['replaceOne', () => counters().replaceOne({ _id: 1 }, { n: 1 }, { upsert: true })],
    ['findOneAndUpdate', () => counters().findOneAndUpdate({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true })],
    ['findOneAndReplace', () => counters().findOneAndReplace({ _id: 1 }, { n: 1 }, { upsert: true })],
  ])('of %s ends in LOCK_TIMEOUT after lockWaitMs, with nothing applied', async (_, write) => {
    const open = gate()
    const { ended } = await hold(open)
    const error = await harness.db.run<unknown>(write).catch(error => error)
    expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied', transient: true })
    open.open()
    await ended
    expect(await outside().findOne({ _id: 1 })).toEqual({ _id: 1, n: 100 })
  })

  it('that lost a race for a unique key finds the document there, each time', async () => {
    const { db } = harness
    const byEmail = () => counters().updateOne({ email: 'a' }, { $inc: { n: 1 } }, { upsert: true })
    const results = await Promise.all(Array.from({ length: 20 }, () => db.run(byEmail)))
    expect(results.filter(({ upsertedCount }) => upsertedCount === 1)).toHaveLength(1)
    expect(await outside().findOne({ email: 'a' })).toMatchObject({ n: 20 })
  })

  it('keeps the error of a key that is taken for good', async () => {
    await outside().insertMany([{ _id: 1, email: 'a' }])
    const error = await harness.db
      .run(() => counters().updateOne({ _id: 2 }, { $set: { email: 'a' } }, { upsert: true }))
      .catch(error => error)
    expect(error).toMatchObject({ name: 'MongoServerError', code: 11_000 })
  })
})

it('as a plain write heeds no time limit while the key is blocked: the symptom', async () => {
  await using harness = await startHarness({ url: inject('mongoUrl'), context: { isolation: 'none' } })
  const counters = harness.store.collection<Counter>('counters')
  const outside = harness.plain.db(harness.database).collection<Counter>('counters')
  await harness.plain.db(harness.database).createCollection('counters')
  const open = gate()
  const { ended } = await holding(harness.plain, open, session => outside.insertOne({ _id: 1, n: 100 }, { session }))
  let isSettled = false
  const upsert = harness.db
    .run(() => counters.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true, maxTimeMS: 200 }))
    .catch(error => error)
    .finally(() => {
      isSettled = true
    })
  const isBlocked = () =>
    harness.plain
      .db('admin')
      .aggregate([
        { $currentOp: {} },
        { $match: { ns: `${harness.database}.counters`, microsecs_running: { $gt: 1e6 } } },
      ])
      .hasNext()
  while (!(await isBlocked())) expect(isSettled).toBe(false)
  expect(isSettled).toBe(false)
  open.open()
  await ended
  await upsert
})
