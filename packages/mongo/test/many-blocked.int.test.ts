import { gate, type ServerHandle, startMongo, until } from '@strata/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

const tickets = 5
const writers = 12
const held = Array.from({ length: writers }, (_, _id) => _id)
const other = writers
const deeper = writers + 1

let server: ServerHandle
beforeAll(async () => {
  const mongoArgs = ['--setParameter', `wiredTigerConcurrentWriteTransactions=${tickets}`]
  server = await startMongo({ mongoArgs, report: () => {} })
})
afterAll(() => server.stop())

interface Counter {
  readonly _id: number
  readonly n: number
}

async function ticketsLeft({ plain }: Harness): Promise<number> {
  const status = await plain.db('admin').command({ serverStatus: 1 })
  return status['wiredTiger'].concurrentTransactions.write.available
}

/** A write that waits for its document: one that is sent in slices, and one that keeps its connection. */
const blockedWrites = {
  updateOne: ({ store }: Harness, _id: number) =>
    store.collection<Counter>('counters').updateOne({ _id }, { $inc: { n: 1 } }),
  updateMany: ({ store }: Harness, _id: number) =>
    store.collection<Counter>('counters').updateMany({ _id: { $in: [_id] } }, { $inc: { n: 1 } }),
}

// Each waits for a document of its own, so that no queue of ours spares a ticket: as many processes of one writer each do the same.
it.each(['updateOne', 'updateMany'] as const)(
  'more blocked %s than the server has tickets cost the holder a run of its body, and nobody the end',
  async kind => {
    await using harness = await startHarness({ url: server.url, pool: { max: writers + 2 } })
    const { db, store } = harness
    const counters = store.collection<Counter>('counters')
    const increment = (_id: number) => counters.updateOne({ _id }, { $inc: { n: 1 } })
    const all = harness.plain.db(harness.database).collection<Counter>('counters')
    await all.insertMany([...held, other, deeper].map(_id => ({ _id, n: 0 })))
    const written = gate()
    const taken = gate()
    const holder = db.run(() =>
      db.transaction.begin(async () => {
        for (const _id of held) await increment(_id)
        written.open()
        await taken.wait()
        await db.switchDbIsolate(() => increment(deeper))
        await increment(other)
      }),
    )
    await written.wait()
    const others = held.map(_id => db.run(() => blockedWrites[kind](harness, _id)))
    const areTaken = async () => (await ticketsLeft(harness)) === 0
    await until(areTaken, { deadlineMs: 5000, message: 'the blocked writes to take all tickets' })
    taken.open()
    await Promise.all([holder, ...others])
    const counts = await all.find({ _id: { $ne: deeper } }, { sort: { _id: 1 } }).toArray()
    expect(counts).toEqual([...held.map(_id => ({ _id, n: 2 })), { _id: other, n: 1 }])
  },
)
