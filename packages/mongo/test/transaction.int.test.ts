import { hasCode } from '@strata/db-context'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Account {
  _id: string
  cents: number
}

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('transactions on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 1 } })
    await harness.plain.db(harness.database).createCollection('accounts')
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const accounts = () => harness.store.collection<Account>('accounts')
  const outside = () => harness.plain.db(harness.database).collection<Account>('accounts')

  it('commits what its body wrote, and shows none of it outside before', async () => {
    const { db } = harness
    await db.run(() =>
      db.transaction.begin(async () => {
        await accounts().insertOne({ _id: 'a', cents: 1 })
        await Promise.all([
          accounts().updateOne({ _id: 'a' }, { $inc: { cents: 2 } }),
          accounts().updateOne({ _id: 'a' }, { $inc: { cents: 4 } }),
        ])
        expect(await accounts().findOne({ _id: 'a' })).toEqual({ _id: 'a', cents: 7 })
        expect(await outside().findOne({ _id: 'a' })).toBeNull()
      }),
    )
    expect(await outside().findOne({ _id: 'a' })).toEqual({ _id: 'a', cents: 7 })
  })

  it('writes nothing when its body throws, and gives its only connection back', async () => {
    const { db } = harness
    const boom = new Error('boom')
    await expect(
      db.run(() =>
        db.transaction.begin(async () => {
          await accounts().insertOne({ _id: 'b', cents: 1 })
          throw boom
        }),
      ),
    ).rejects.toBe(boom)
    expect(await db.run(() => accounts().findOne({ _id: 'b' }))).toBeNull()
  })

  it('lets the level below work while it is open, with one connection each', async () => {
    const { db } = harness
    await db.run(() =>
      db.transaction.begin(async () => {
        await accounts().insertOne({ _id: 'c', cents: 1 })
        await db.switchDbIsolate(async () => {
          expect(await accounts().findOne({ _id: 'c' })).toBeNull()
          await accounts().insertOne({ _id: 'd', cents: 1 })
        })
      }),
    )
    expect(await outside().countDocuments({ _id: { $in: ['c', 'd'] } })).toBe(2)
  })

  it('runs again after a conflict, and both increments count', async () => {
    const { db } = harness
    await outside().insertOne({ _id: 'e', cents: 0 })
    let attempts = 0
    await db.run(() =>
      db.transaction.begin(async () => {
        attempts += 1
        await accounts().findOne({ _id: 'e' })
        if (attempts === 1) await outside().updateOne({ _id: 'e' }, { $inc: { cents: 1 } })
        await accounts().updateOne({ _id: 'e' }, { $inc: { cents: 10 } })
      }),
    )
    expect(attempts).toBe(2)
    expect(await outside().findOne({ _id: 'e' })).toEqual({ _id: 'e', cents: 11 })
  })

  it('refuses a session given by hand', async () => {
    const { db } = harness
    const options: object = { session: harness.plain.startSession() }
    const error = await db.run(() => accounts().insertOne({ _id: 'f', cents: 0 }, options)).catch(error => error)
    expect(hasCode(error, 'SESSION_REFUSED')).toBe(true)
  })

  it('refuses an operation outside any unit of work', async () => {
    const error = await accounts()
      .findOne({})
      .catch(error => error)
    expect(error).toMatchObject({ code: 'CONTEXT_MISSING', outcome: 'not-applied' })
  })
})
