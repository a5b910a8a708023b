import { describe, expect, inject, it } from 'vitest'
import { type Counter, end, fixture } from './fixture.ts'

const url = inject('mongoLbUrl')

describe('a cursor whose loop body needs the connection that the cursor keeps', () => {
  const ends = async (isolation: 'none' | 'levels', body: 'same level' | 'deeper') => {
    await using made = fixture({ url, isolation })
    const { db, datasource } = made
    const counters = datasource.collection<Counter>('counters')
    await db.run(() => counters.insertMany(Array.from({ length: 20 }, (_, index) => ({ _id: String(index), n: 0 }))))
    const add = (_id: string) => counters.updateOne({ _id }, { $inc: { n: 1 } })
    const loop = async () => {
      for await (const { _id } of counters.find({}, { batchSize: 5 })) {
        await (body === 'deeper' ? db.switchDbIsolate(() => add(_id)) : add(_id))
      }
      return await counters.countDocuments({ n: 1 })
    }
    return await end(db.run(loop))
  }

  it('hangs without levels until the bound', async () => {
    expect(await ends('none', 'same level')).toBe('POOL_TIMEOUT')
  })

  it('is refused with levels, and completes one level deeper', async () => {
    expect(await ends('levels', 'same level')).toBe('HOLD_AND_WAIT')
    expect(await ends('levels', 'deeper')).toBe(20)
  })
})

describe('a unit of work inside a transaction that needs the connection which the transaction keeps', () => {
  const ends = async (isolation: 'none' | 'levels', body: 'same level' | 'deeper') => {
    await using made = fixture({ url, isolation })
    const { db, datasource } = made
    const counters = datasource.collection<Counter>('counters')
    const nested = () => db.run(() => counters.countDocuments({ _id: 'mine' }))
    const deeper = () => db.run(() => db.switchDbIsolate(() => counters.countDocuments({ _id: 'mine' })))
    return await end(
      db.run(() =>
        db.transaction.begin(async () => {
          await counters.insertOne({ _id: 'mine', n: 1 })
          return await (body === 'deeper' ? deeper() : nested())
        }),
      ),
    )
  }

  it('hangs without levels until the bound', async () => {
    expect(await ends('none', 'same level')).toBe('POOL_TIMEOUT')
  })

  it('is refused with levels, and completes one level deeper, outside the transaction', async () => {
    expect(await ends('levels', 'same level')).toBe('HOLD_AND_WAIT')
    expect(await ends('levels', 'deeper')).toBe(0)
  })
})
