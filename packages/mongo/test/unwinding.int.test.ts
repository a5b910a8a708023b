import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Counter {
  _id: string
  n: number
}

/** What each of the two does with the other's document, one level deeper. */
type Deeper = 'plain write' | 'upsert' | 'transaction'

describe.each<Deeper>(['plain write', 'upsert', 'transaction'])(
  'two transactions that each wait for what the other has written, in a %s one level deeper',
  deeper => {
    let harness: Harness
    beforeAll(async () => {
      const context = { lockWaitMs: 500, report: () => {} }
      harness = await startHarness({ url: inject('mongoUrl'), pool: { max: 2 }, context })
    })
    afterAll(() => harness[Symbol.asyncDispose]())
    beforeEach(async () => {
      await outside().deleteMany({})
      await outside().insertMany(['x', 'y'].map(_id => ({ _id, n: 0 })))
    })

    const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')
    const increment = (_id: string, upsert = false) =>
      harness.store.collection<Counter>('counters').updateOne({ _id }, { $inc: { n: 1 } }, { upsert })

    async function cross(retries: number) {
      const { db } = harness
      const both = Promise.withResolvers<void>()
      let written = 0
      const deep = (_id: string) =>
        deeper === 'transaction' ? db.transaction.begin(() => increment(_id)) : increment(_id, deeper === 'upsert')
      const one = (mine: string, theirs: string) =>
        db.run(() =>
          db.transaction.begin(
            async () => {
              await increment(mine)
              written += 1
              if (written === 2) both.resolve()
              await both.promise
              await db.switchDbIsolate(() => deep(theirs))
            },
            { retries },
          ),
        )
      return await Promise.allSettled([one('x', 'y'), one('y', 'x')])
    }

    it('both end, each with its effects once', async () => {
      const ends = await cross(50)
      expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
      expect(await outside().find().sort({ _id: 1 }).toArray()).toEqual([
        { _id: 'x', n: 2 },
        { _id: 'y', n: 2 },
      ])
    })

    it('without being run again, at least one ends in LOCK_TIMEOUT', async () => {
      const lost = (await cross(0)).filter(end => end.status === 'rejected')
      expect(lost.length).toBeGreaterThan(0)
      for (const { reason } of lost) expect(reason).toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied' })
    })
  },
)
