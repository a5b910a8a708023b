import { expect, inject, it } from 'vitest'
import { type Counter, end, fixture } from './fixture.ts'

/** A transaction that awaits what background work (a relay, a recoverer, a renewal) does on connections of its own. */
async function awaitBackground(isolation: 'none' | 'levels') {
  await using made = fixture({ url: inject('mongoLbUrl'), isolation })
  const { db, datasource } = made
  const counters = datasource.collection<Counter>('counters')
  const background = datasource.service.collection<Counter>('effects')
  return await end(
    db.run(() =>
      db.transaction.begin(async () => {
        await counters.insertOne({ _id: 'mine', n: 1 })
        await background.insertOne({ _id: 'effect', n: 1 })
        return await background.countDocuments()
      }),
    ),
  )
}

it('background work starves behind the transaction that awaits it without levels', async () => {
  expect(await awaitBackground('none')).toBe('POOL_TIMEOUT')
})

it('background work has the last pool of the order with levels', async () => {
  expect(await awaitBackground('levels')).toBe(1)
})
