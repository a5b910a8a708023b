import { type Gate, gate, until } from '@strata/testkit'
import type { Document } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Counter extends Document {
  _id: number
  n: number
}

describe('a blocked write of one document', () => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject('mongoUrl'), pool: { max: 1 }, context: { lockWaitMs: 2000 } })
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const counters = () => harness.store.collection<Counter>('counters')
  const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')

  beforeEach(async () => {
    await outside().deleteMany({})
    await outside().insertMany(Array.from({ length: 4 }, (_, _id) => ({ _id, n: 0 })))
  })

  /** A transaction from another process that has written document 0, until the gate opens. */
  async function blocked(open: Gate): Promise<{ ended: Promise<unknown> }> {
    const written = gate()
    const ended = harness.plain.withSession(session =>
      session.withTransaction(async () => {
        await outside().updateOne({ _id: 0 }, { $inc: { n: 100 } }, { session })
        written.open()
        await open.wait()
      }),
    )
    await written.wait()
    return { ended }
  }

  it('lets others use the only connection, and is applied once when the document comes free', async () => {
    const { db } = harness
    const open = gate()
    const { ended } = await blocked(open)
    const write = db.run(() => counters().updateOne({ _id: 0 }, { $inc: { n: 1 } }))
    const started = performance.now()
    for (let i = 0; i < 2; i += 1) await db.run(() => counters().updateOne({ _id: 1 }, { $inc: { n: 1 } }))
    const waitedMs = performance.now() - started
    open.open()
    await ended
    // One slice lies before each of the others: 200 and 400 ms.
    expect(waitedMs).toBeLessThan(1000)
    expect(await write).toMatchObject({ acknowledged: true, matchedCount: 1, modifiedCount: 1 })
    expect(await outside().findOne({ _id: 0 })).toEqual({ _id: 0, n: 101 })
  })

  it('ends in LOCK_TIMEOUT after lockWaitMs, with nothing applied', async () => {
    const open = gate()
    const { ended } = await blocked(open)
    const started = performance.now()
    const error = await harness.db
      .run(() => counters().findOneAndUpdate({ _id: 0 }, { $inc: { n: 1 } }))
      .catch(error => error)
    const waitedMs = performance.now() - started
    expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied', transient: true })
    expect(waitedMs).toBeGreaterThan(1900)
    expect(waitedMs).toBeLessThan(4000)
    open.open()
    await ended
    expect(await outside().findOne({ _id: 0 })).toEqual({ _id: 0, n: 100 })
  })

  it('ends at its own maxTimeMS with the error of the driver', async () => {
    const open = gate()
    const { ended } = await blocked(open)
    const error = await harness.db
      .run(() => counters().updateOne({ _id: 0 }, { $inc: { n: 1 } }, { maxTimeMS: 300 }))
      .catch(error => error)
    expect(error).toMatchObject({ name: 'MongoServerError', code: 50 })
    open.open()
    await ended
  })

  it('ends at the deadline of its unit of work', async () => {
    const open = gate()
    const { ended } = await blocked(open)
    const started = performance.now()
    const error = await harness.db
      .run(() => counters().deleteOne({ _id: 0 }), { deadlineMs: 400 })
      .catch(error => error)
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(performance.now() - started).toBeLessThan(1500)
    // The unit ends by its own clock: the last slice is the server's to end, and would be applied were the holder gone before.
    await until(() => harness.db.activities().length === 0, {
      deadlineMs: 10_000,
      message: 'the end of the last slice',
    })
    open.open()
    await ended
    expect(await outside().countDocuments({ _id: 0 })).toBe(1)
  })

  it('goes through when it is slow and nothing blocks it', async () => {
    const slow = { $expr: { $function: { body: 'function() { sleep(300); return true }', args: [], lang: 'js' } } }
    const result = await harness.db.run(() => counters().updateOne({ _id: 2, ...slow }, { $inc: { n: 1 } }))
    expect(result.modifiedCount).toBe(1)
    expect(await outside().findOne({ _id: 2 })).toEqual({ _id: 2, n: 1 })
  })

  it('counts each of 400 contended increments exactly once', async () => {
    const { db } = harness
    let writing = true
    const stranger = (async () => {
      let updates = 0
      while (writing) {
        await db.run(() => counters().updateOne({ _id: 1 }, { $inc: { n: 1 } }))
        updates += 1
      }
      return updates
    })()
    const holder = (async () => {
      let commits = 0
      while (writing) {
        await harness.plain.withSession(session =>
          session.withTransaction(async () => {
            await outside().updateOne({ _id: 0 }, { $inc: { n: 1 } }, { session })
            await outside().findOne({ _id: 3 }, { session })
          }),
        )
        commits += 1
      }
      return commits
    })()
    const writers = Array.from({ length: 10 }, async () => {
      for (let i = 0; i < 40; i += 1) await db.run(() => counters().updateOne({ _id: 0 }, { $inc: { n: 1 } }))
    })
    await Promise.all(writers).finally(() => {
      writing = false
    })
    const [updates, commits] = await Promise.all([stranger, holder])
    expect(await outside().findOne({ _id: 0 })).toEqual({ _id: 0, n: 400 + commits })
    expect(await outside().findOne({ _id: 1 })).toEqual({ _id: 1, n: updates })
    expect(updates).toBeGreaterThan(10)
  })

  it('shows in the ledger while it is blocked', async () => {
    const open = gate()
    const { ended } = await blocked(open)
    const write = harness.db.run(() => counters().replaceOne({ _id: 0 }, { n: 7 }))
    await until(() => harness.db.activities().some(({ what }) => what === 'counters.replaceOne'), {
      deadlineMs: 2000,
      message: 'the write to be under way',
    })
    open.open()
    await ended
    await write
  })
})
