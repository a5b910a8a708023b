import type { Isolation } from '@strata/db-context'
import { gate, type ServerHandle, startMongo, until } from '@strata/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

const tickets = 5
const writers = 12
const rounds = 10

let server: ServerHandle
beforeAll(async () => {
  const mongoArgs = ['--setParameter', `wiredTigerConcurrentWriteTransactions=${tickets}`]
  server = await startMongo({ mongoArgs, report: () => {} })
})
afterAll(() => server.stop())

/** A transaction writes a document, many plain writes wait for it, and the transaction writes once more. */
async function roundOf({ db, store }: Harness, running: number): Promise<number> {
  const documents = store.collection<{ _id: number; n: number }>('documents')
  const increment = (_id: number) => documents.updateOne({ _id }, { $inc: { n: 1 } })
  const written = gate()
  const blocked = gate()
  let bodies = 0
  const holder = db.run(() =>
    db.transaction.begin(async () => {
      bodies += 1
      await increment(1)
      written.open()
      await blocked.wait()
      await increment(2)
    }),
  )
  await written.wait()
  const others = Array.from({ length: writers }, () => db.run(() => db.switchDb(() => increment(1), { level: 1 })))
  const isRunning = () => db.activities().filter(({ phase, what }) => phase === 'running' && what.endsWith('updateOne'))
  const began = performance.now()
  await until(() => performance.now() - began > 300 && isRunning().length === running, {
    deadlineMs: 5000,
    message: `${running} of ${writers} blocked writes to be on the server`,
  })
  blocked.open()
  await Promise.all([holder, ...others])
  return bodies
}

async function bodiesOf(isolation: Isolation, running: number): Promise<number> {
  const context = { isolation, lockWaitMs: 10_000 }
  await using harness = await startHarness({ url: server.url, pool: { max: writers + 2 }, context })
  const documents = harness.plain.db(harness.database).collection<{ _id: number; n: number }>('documents')
  await documents.insertMany([1, 2].map(_id => ({ _id, n: 0 })))
  let bodies = 0
  for (let round = 0; round < rounds; round += 1) bodies += await roundOf(harness, running)
  expect(await documents.find().toArray()).toEqual([
    { _id: 1, n: rounds * (writers + 1) },
    { _id: 2, n: rounds },
  ])
  return bodies
}

it('leaves the write tickets to the holder: of the writes of one document one is sent', async () => {
  expect(await bodiesOf('levels', 1)).toBe(rounds)
})

it('without it they take all the tickets, and the holder fails: the symptom', async () => {
  expect(await bodiesOf('none', writers)).toBeGreaterThan(rounds)
})
