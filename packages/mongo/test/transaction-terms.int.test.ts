import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('the terms of a transaction on %s', key => {
  let harness: Harness
  const reported: unknown[] = []
  beforeAll(async () => {
    const report = (error: unknown) => reported.push(error)
    harness = await startHarness({ url: inject(key), pool: { max: 1 }, context: { report } })
    await harness.plain.db(harness.database).createCollection('counters')
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const counters = () => harness.store.collection<{ _id: string; n: number }>('counters')

  it('the lifetime is read from the server: a deadline beyond it is refused, and nothing had to be assumed', async () => {
    const { db, plain } = harness
    const name = 'transactionLifetimeLimitSeconds'
    const { [name]: seconds } = await plain.db('admin').command({ getParameter: 1, [name]: 1 })
    const begun = (deadlineMs: number) => db.run(() => db.transaction.begin(async () => 'ran', { deadlineMs }))
    expect(await begun(seconds * 1000 - 1)).toBe('ran')
    await expect(begun(seconds * 1000)).rejects.toMatchObject({
      code: 'CONFIG',
      outcome: 'not-applied',
      details: { option: 'deadlineMs', lifetimeMs: seconds * 1000 },
    })
    expect(reported).toEqual([])
  })

  it('a default deadline beyond it fails the start', async () => {
    const started = startHarness({ url: inject(key), context: { transaction: { deadlineMs: 86_400_000 } } })
    await expect(started).rejects.toMatchObject({ code: 'CONFIG', details: { option: 'transaction.deadlineMs' } })
  })

  it.each(['snapshot', 'majority'] as const)('the server knows the read concern %s', async readConcern => {
    const { db, plain } = harness
    const known = await db.run(() =>
      db.transaction.begin(
        async () => {
          await counters().findOne({ _id: 'any' })
          const field = 'transaction.parameters.readConcern.level'
          const open = plain
            .db('admin')
            .aggregate([{ $currentOp: { idleSessions: true } }, { $match: { [field]: readConcern } }])
          return (await open.toArray()).length
        },
        { readConcern },
      ),
    )
    expect(known).toBeGreaterThan(0)
  })

  it('a concern that MongoDB has not is refused before the body, and the connection comes back', async () => {
    const { db } = harness
    const options: object = { readConcern: 'linearizable' }
    let ran = false
    const body = async () => {
      ran = true
    }
    await expect(db.run(() => db.transaction.begin(body, options))).rejects.toMatchObject({ code: 'CONFIG' })
    expect([ran, db.pools().every(({ inUse }) => inUse === 0)]).toEqual([false, true])
  })
})
