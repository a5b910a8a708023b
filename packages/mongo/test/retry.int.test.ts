import { gate } from '@strata/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'
import { holding } from './holder.ts'

interface Counter {
  _id: number
  n: number
}

const lockWaitMs = 1000

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('a transaction in conflict with a stranger, on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    const context = { lockWaitMs, report: () => {} }
    harness = await startHarness({ url: inject(key), pool: { max: 1 }, context })
  })
  afterAll(() => harness[Symbol.asyncDispose]())
  beforeEach(async () => {
    await outside().deleteMany({})
    await outside().insertMany([1, 2, 3].map(_id => ({ _id, n: 0 })))
  })

  const counters = () => harness.store.collection<Counter>('counters')
  const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')
  const increment = (_id: number) => counters().updateOne({ _id }, { $inc: { n: 1 } })

  it('has no connection while it waits for its next try, and is given up after lockWaitMs', async () => {
    const { db } = harness
    const open = gate()
    const { ended } = await holding(harness.plain, open, session =>
      outside().updateOne({ _id: 1 }, { $inc: { n: 100 } }, { session }),
    )
    let bodies = 0
    let isOver = false
    const retried = db
      .run(() =>
        db.transaction.begin(async () => {
          bodies += 1
          await increment(1)
        }),
      )
      .catch(error => error)
      .finally(() => {
        isOver = true
      })
    let others = 0
    while (!isOver) {
      await db.run(() => increment(2))
      others += 1
    }
    expect(await retried).toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied', transient: true })
    // The only connection serves both in turn.
    expect(bodies).toBeGreaterThan(5)
    expect(others).toBeGreaterThan(5)
    open.open()
    await ended
    expect(await outside().find().toArray()).toEqual([100, others, 0].map((n, index) => ({ _id: index + 1, n })))
  })

  it('ends when the stranger does, applied once', async () => {
    const { db } = harness
    const open = gate()
    const { ended } = await holding(harness.plain, open, session =>
      outside().updateOne({ _id: 1 }, { $inc: { n: 100 } }, { session }),
    )
    const tried = gate()
    const retried = db.run(() =>
      db.transaction.begin(async () => {
        await increment(3)
        tried.open()
        await increment(1)
      }),
    )
    await tried.wait()
    open.open()
    await ended
    await retried
    expect(await outside().find().toArray()).toEqual([101, 0, 1].map((n, index) => ({ _id: index + 1, n })))
  })

  it('that crosses another, each waiting for what the other holds, lets one of the two go on, most of the time', async () => {
    const { db } = harness
    const both = async (first: number, second: number, written: { open(): void; wait(): Promise<unknown> }[]) => {
      const [mine, other] = written
      await db.run(() =>
        db.switchDb(
          () =>
            db.transaction.begin(async () => {
              await increment(first)
              mine?.open()
              await other?.wait()
              await db.switchDbIsolate(() => db.transaction.begin(() => increment(second)))
            }),
          // One below the other, or they would share the only connection.
          { level: first === 1 ? 0 : 2 },
        ),
      )
    }
    const rounds = 6
    let won = 0
    for (let round = 0; round < rounds; round += 1) {
      const [one, two] = [gate(), gate()]
      const ends = await Promise.allSettled([both(1, 2, [one, two]), both(2, 1, [two, one])])
      if (ends.some(({ status }) => status === 'fulfilled')) won += 1
      for (const end of ends) {
        if (end.status === 'rejected')
          expect(end.reason).toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied' })
      }
    }
    // Chance decides who is patient for longer; now and then it is a draw, and both may be tried again.
    expect(won).toBeGreaterThan(0)
  })
})
