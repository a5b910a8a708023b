import { createDbContext, type DbContext, type Isolation, type Propagator } from '@strata/db-context'
import { gate } from '@strata/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { mongoDatasource } from '../src/index.ts'
import { type Harness, startHarness } from './harness.ts'
import { holding } from './holder.ts'

interface Counter {
  _id: number
  n: number
}

/** Above what an ancestor's lock may take to be found, so that it is never mistaken for the end of the patience. */
const lockWaitMs = 2500

const job = (chain: ReturnType<Propagator['call']>['chain'], level = 1) => ({
  name: 'job',
  id: 'job-1',
  level,
  chain,
  lane: { queue: 'q', level },
})

describe.each(['mongoUrl', 'mongoLbUrl'] as const)(
  'a document that an awaiting transaction has written, on %s',
  key => {
    let harness: Harness
    /** Another process, as far as contexts can tell. */
    let other: DbContext
    const otherStore = () => mongoDatasource({ name: 'main', url: inject(key), database: harness.database })
    let otherCounters: ReturnType<typeof collectionOf>
    const collectionOf = (store: ReturnType<typeof mongoDatasource>) => store.collection<Counter>('counters')

    beforeAll(async () => {
      harness = await startHarness({ url: inject(key), context: { lockWaitMs, report: () => {} } })
      const store = otherStore()
      otherCounters = collectionOf(store)
      other = createDbContext({ datasources: [store], lockWaitMs, report: () => {} })
      await other.start()
    })
    afterAll(async () => {
      await other.stop()
      await harness[Symbol.asyncDispose]()
    })
    beforeEach(async () => {
      await outside().deleteMany({})
      await outside().insertMany(Array.from({ length: 40 }, (_, _id) => ({ _id, n: 0 })))
    })

    const counters = () => collectionOf(harness.store)
    const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')
    const increment = (_id: number) => counters().updateOne({ _id }, { $inc: { n: 1 } })
    const deeper = (body: () => Promise<unknown>, retries = 3) =>
      harness.db.run(() =>
        harness.db.transaction.begin(
          async () => {
            await increment(1)
            await counters().insertOne({ _id: 50, n: 0 })
            return await harness.db.switchDbIsolate(body)
          },
          { name: 'outer', retries },
        ),
      )
    const expected = {
      code: 'ANCESTOR_LOCK',
      outcome: 'not-applied',
      transient: false,
      message: expect.stringMatching(/transaction outer at level 0 has written/),
      details: { level: 1, certain: true, ancestor: { name: 'outer', level: 0 } },
    }

    it.each<[string, () => Promise<unknown>]>([
      ['a plain write', () => increment(1)],
      ['a transaction', () => harness.db.transaction.begin(() => increment(1), { name: 'inner' })],
      ['an insert of its _id', () => counters().insertOne({ _id: 50, n: 1 })],
      ['an upsert', () => counters().updateOne({ _id: 50 }, { $inc: { n: 1 } }, { upsert: true })],
      ['a write of several', () => counters().updateMany({ _id: { $in: [0, 1] } }, { $inc: { n: 1 } })],
      ['a bulk write', () => counters().bulkWrite([{ updateOne: { filter: { _id: 1 }, update: { $inc: { n: 1 } } } }])],
    ])('ends %s one level deeper, within 2 s and for good', async (_, write) => {
      const began = performance.now()
      expect(await deeper(write).catch(error => error)).toMatchObject(expected)
      expect(performance.now() - began).toBeLessThan(2000)
      expect(await outside().countDocuments({ n: { $ne: 0 } })).toBe(0)
    })

    it('ends a job of another process, by what travels with the call', async () => {
      const { db } = harness
      const called = db.run(() =>
        db.transaction.begin(
          async () => {
            await increment(1)
            const { chain } = db.propagator.call('job')
            const write = () => otherCounters.updateOne({ _id: 1 }, { $inc: { n: 1 } })
            return await other.propagator.run(job(JSON.parse(JSON.stringify(chain))), () =>
              other.transaction.begin(write),
            )
          },
          { name: 'outer' },
        ),
      )
      expect(await called.catch(error => error)).toMatchObject(expected)
    })

    it('is not sure where more was written than travels', async () => {
      const { db } = harness
      const called = db.run(() =>
        db.transaction.begin(async () => {
          for (let _id = 0; _id < 40; _id += 1) await increment(_id)
          const { chain } = db.propagator.call('job')
          const write = () => otherCounters.updateOne({ _id: 39 }, { $inc: { n: 1 } })
          return await other.propagator.run(job(chain), () => other.transaction.begin(write))
        }),
      )
      const error = await called.catch(error => error)
      expect(error).toMatchObject({ code: 'ANCESTOR_LOCK', transient: false, details: { certain: false } })
      expect(error.message).toContain('probably')
    })

    it('is seen in the same process also when it was written after the call was sent', async () => {
      const { db } = harness
      const called = db.run(() =>
        db.transaction.begin(
          async () => {
            const { chain } = db.propagator.call('job')
            await increment(1)
            return await db.propagator.run(job(chain), () => db.transaction.begin(() => increment(1)))
          },
          { name: 'outer' },
        ),
      )
      expect(await called.catch(error => error)).toMatchObject(expected)
    })

    it.each([true, false])('is named as possible where another process wrote it after the call: %s', async isLate => {
      const { db } = harness
      const called = db.run(() =>
        db.transaction.begin(
          async () => {
            if (!isLate) await increment(1)
            const { chain } = db.propagator.call('job')
            if (isLate) await increment(1)
            const write = () => otherCounters.updateOne({ _id: 1 }, { $inc: { n: 1 } })
            return await other.propagator.run(job(JSON.parse(JSON.stringify(chain))), () =>
              other.transaction.begin(write),
            )
          },
          { name: 'outer' },
        ),
      )
      const late = {
        code: 'LOCK_TIMEOUT',
        outcome: 'not-applied',
        transient: true,
        message: expect.stringMatching(/transaction outer \(level 0\), which awaits this job/),
        details: { certain: false, ancestors: [{ name: 'outer', level: 0 }] },
      }
      expect(await called.catch(error => error)).toMatchObject(isLate ? late : expected)
    })

    it.each<[string, () => Promise<unknown>]>([
      ['plain write', () => increment(2)],
      ['transaction', () => harness.db.transaction.begin(() => increment(2))],
    ])('leaves a %s that a stranger blocks to LOCK_TIMEOUT', async (_, write) => {
      if (key === 'mongoLbUrl') return
      const open = gate()
      const { ended } = await holding(harness.plain, open, session =>
        outside().updateOne({ _id: 2 }, { $inc: { n: 100 } }, { session }),
      )
      expect(await deeper(write, 0).catch(error => error)).toMatchObject({ code: 'LOCK_TIMEOUT', transient: true })
      open.open()
      await ended
    })

    it('leaves a conflict with a stranger what it was', async () => {
      const open = gate()
      const { ended } = await holding(harness.plain, open, session =>
        outside().updateOne({ _id: 2 }, { $inc: { n: 100 } }, { session }),
      )
      const written = deeper(() => harness.db.transaction.begin(() => increment(2)))
      open.open()
      await ended
      await written
      expect(await outside().findOne({ _id: 2 })).toEqual({ _id: 2, n: 101 })
    })
  },
)

it.each<[Isolation, object]>([
  ['none', { code: 'DEADLINE_EXCEEDED' }],
  ['levels', { code: 'ANCESTOR_LOCK' }],
])('under isolation %s a plain write below its own transaction ends so', async (isolation, expected) => {
  const context = { isolation, report: () => {} }
  await using harness = await startHarness({ url: inject('mongoUrl'), context })
  const { db } = harness
  await harness.plain.db(harness.database).collection<Counter>('counters').insertOne({ _id: 1, n: 0 })
  const increment = () => harness.store.collection<Counter>('counters').updateOne({ _id: 1 }, { $inc: { n: 1 } })
  const ended = db.run(
    () =>
      db.transaction.begin(async () => {
        await increment()
        await db.switchDbIsolate(increment)
      }),
    { deadlineMs: 4000 },
  )
  expect(await ended.catch(error => error)).toMatchObject(expected)
})
