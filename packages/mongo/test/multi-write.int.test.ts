import type { StrataError } from '@strata/db-context'
import { gate } from '@strata/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'
import { holding } from './holder.ts'

interface Counter {
  _id: number
  n: number
}

const operationTimeoutMs = 500

describe('a blocked write of several documents', () => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject('mongoUrl'), pool: { max: 1 }, operationTimeoutMs })
    await harness.plain.db(harness.database).createCollection('counters')
  })
  afterAll(() => harness[Symbol.asyncDispose]())
  beforeEach(async () => {
    await outside().deleteMany({})
    await outside().insertMany([1, 2, 3].map(_id => ({ _id, n: 0 })))
  })

  const counters = () => harness.store.collection<Counter>('counters')
  const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')
  const bulk = () => {
    const ordered = counters().initializeOrderedBulkOp()
    ordered.insert({ _id: 8, n: 0 })
    for (const _id of [1, 2, 3]) ordered.find({ _id }).updateOne({ $inc: { n: 1 } })
    return ordered.execute()
  }
  const operations = [
    { insertOne: { document: { _id: 8, n: 0 } } },
    ...[1, 2, 3].map(_id => ({ updateOne: { filter: { _id }, update: { $inc: { n: 1 } } } })),
  ]

  /** Each has written document 1, or 8, when the transaction that holds 2 and 9 stops it. */
  it.each<[string, () => Promise<unknown>, object]>([
    ['insertMany', () => counters().insertMany([8, 9, 10].map(_id => ({ _id, n: 0 }))), { inserted: 0 }],
    ['updateMany', () => counters().updateMany({}, { $inc: { n: 1 } }), {}],
    ['deleteMany', () => counters().deleteMany({ _id: { $lte: 3 } }), {}],
    ['bulkWrite', () => counters().bulkWrite(operations), { inserted: 1, modified: 0 }],
    ['initializeOrderedBulkOp', bulk, { inserted: 1, modified: 0 }],
  ])('%s is sent once, ends as unknown and names what the server confirmed of it', async (_, write, applied) => {
    const open = gate()
    const { ended } = await holding(harness.plain, open, async session => {
      await outside().updateOne({ _id: 2 }, { $inc: { n: 100 } }, { session })
      await outside().insertOne({ _id: 9, n: 0 }, { session })
    })
    const error: StrataError = await harness.db.run<never>(write as () => Promise<never>).catch(error => error)
    expect(error).toMatchObject({ code: 'OPERATION_TIMEOUT', outcome: 'unknown', transient: false })
    if (Object.keys(applied).length > 0) expect(error.details.appliedAtLeast).toMatchObject(applied)
    const found = await outside().find().toArray()
    // A part is applied, which the driver's own counts do not say, and no part of it twice.
    expect(found).not.toEqual([1, 2, 3].map(_id => ({ _id, n: 0 })))
    for (const { n } of found) expect(n).toBeLessThanOrEqual(1)
    open.open()
    await ended
    expect(await outside().findOne({ _id: 2 })).toEqual({ _id: 2, n: 100 })
  })

  /** The same on the driver alone, and sent again as its error invites to. */
  it('without that, the driver says of what it has applied in part that nothing was, and once more doubles it', async () => {
    const open = gate()
    const { ended } = await holding(harness.plain, open, session =>
      outside().updateOne({ _id: 2 }, { $inc: { n: 100 } }, { session }),
    )
    const all = [1, 2, 3].map(_id => ({ updateOne: { filter: { _id }, update: { $inc: { n: 1 } } } }))
    const write = () => outside().bulkWrite(all, { maxTimeMS: 300 })
    const error = await write().catch(thrown => thrown)
    expect(error).toMatchObject({ code: 50, modifiedCount: 0 })
    open.open()
    await ended
    await write()
    expect(await outside().findOne({ _id: 1 })).toEqual({ _id: 1, n: 2 })
  })

  it('that is cut off by its own maxTimeMS is unknown as well', async () => {
    const open = gate()
    const { ended } = await holding(harness.plain, open, session =>
      outside().updateOne({ _id: 2 }, { $inc: { n: 100 } }, { session }),
    )
    const error = await harness.db
      .run(() => counters().updateMany({}, { $inc: { n: 1 } }, { maxTimeMS: 100 }))
      .catch(error => error)
    expect(error).toMatchObject({ code: 'OPERATION_TIMEOUT', outcome: 'unknown', details: { limitMs: 100 } })
    open.open()
    await ended
  })

  it('with an upsert is unknown at the limit that the server does not heed, and keeps its connection', async () => {
    const open = gate()
    const { ended } = await holding(harness.plain, open, session => outside().insertOne({ _id: 9, n: 0 }, { session }))
    const upsert = { updateOne: { filter: { _id: 9 }, update: { $inc: { n: 1 } }, upsert: true } }
    const error = await harness.db.run(() => counters().bulkWrite([upsert])).catch(error => error)
    expect(error).toMatchObject({ code: 'OPERATION_TIMEOUT', outcome: 'unknown' })
    const inUse = () => harness.db.pools().find(({ level }) => level === 0)?.inUse
    expect(inUse()).toBe(1)
    open.open()
    await ended
    // Queued behind it for the only connection.
    expect(await harness.db.run(() => counters().findOne({ _id: 9 }))).toMatchObject({ _id: 9 })
    expect(inUse()).toBe(0)
  })
})
