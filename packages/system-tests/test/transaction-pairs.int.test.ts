import { randomUUID } from 'node:crypto'
import { createDbContext, type Isolation } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob } from '@strata/queue'
import { gate } from '@strata/testkit'
import { MongoClient } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'

interface Counter {
  _id: string
  n: number
}

const increment = defineJob({ name: 'increment', input: z.object({ id: z.string() }), output: z.number() })

const database = `test-${randomUUID()}`
const stops: (() => Promise<void>)[] = []
let client: MongoClient

beforeAll(async () => {
  client = await new MongoClient(inject('mongoUrl')).connect()
})
afterAll(async () => {
  await client.db(database).dropDatabase()
  await client.close()
})
beforeEach(async () => {
  await outside().deleteMany({})
  await outside().insertMany(['x', 'y'].map(_id => ({ _id, n: 0 })))
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const outside = () => client.db(database).collection<Counter>('counters')

/** A caller and a worker with one slot a lane, as if in two processes. */
async function start(isolation: Isolation, onRun: (id: string) => void = () => {}) {
  const prefix = `test-${randomUUID()}`
  const open = () => {
    const store = mongoDatasource({ name: 'school', url: inject('mongoUrl'), database })
    const db = createDbContext({ datasources: [store], isolation, report: () => {} })
    stops.push(() => db.stop({ deadlineMs: 1000 }))
    return { db, shared: { db, redis: inject('redisUrl'), prefix }, counters: store.collection<Counter>('counters') }
  }
  const [caller, service] = [open(), open()]
  const queues = createQueues(caller.shared)
  const worker = createWorker({ ...service.shared, lanes: { slots: 1 }, graceMs: 200 })
  worker.handle(increment, async ({ id }) => {
    onRun(id)
    const { modifiedCount } = await service.counters.updateOne({ _id: id }, { $inc: { n: 1 } })
    return modifiedCount
  })
  await worker.start()
  stops.push(
    () => queues.stop({ deadlineMs: 1000 }),
    () => worker.stop({ deadlineMs: 1000 }),
  )
  return { db: caller.db, queues, counters: caller.counters }
}

/** A transaction writes x and awaits a job, whose only slot a stranger's job has by then, which writes x as well. */
async function blockSlot(isolation: Isolation, deadlineMs: number) {
  const [isWritten, strangerRuns] = [gate(), gate()]
  const { db, queues, counters } = await start(isolation, id => id === 'x' && strangerRuns.open())
  const call = (id: string, ms = deadlineMs) => queues.pushAsync(increment, { id }, { deadlineMs: ms })
  const holder = db.run(() =>
    db.transaction.begin(async () => {
      await counters.updateOne({ _id: 'x' }, { $inc: { n: 1 } })
      isWritten.open()
      await strangerRuns.wait()
      return await call('y')
    }),
  )
  const stranger = isWritten.wait().then(() => db.run(() => call('x', 3 * deadlineMs)))
  const ends = await Promise.allSettled([holder, stranger])
  return ends.map(end => (end.status === 'fulfilled' ? 'ok' : end.reason.code))
}

describe('a slot that a blocked job of a stranger holds', () => {
  test('is given to the job that the holder of the document awaits: the stranger is put back', async () => {
    expect(await blockSlot('levels', 10_000)).toEqual(['ok', 'ok'])
    expect(await outside().find().sort({ _id: 1 }).toArray()).toEqual([
      { _id: 'x', n: 2 },
      { _id: 'y', n: 1 },
    ])
  })

  test('without isolation is kept until the call has waited in vain: the symptom', async () => {
    expect(await blockSlot('none', 3000)).toEqual(['CALL_TIMEOUT', 'ok'])
  })
})

type Begin = (
  started: Awaited<ReturnType<typeof start>>,
  body: (parts: { readonly call: () => Promise<unknown>; readonly update: () => Promise<unknown> }) => Promise<void>,
) => Promise<unknown>

const update = { $inc: { n: 1 } }
const ours: Begin = ({ db, queues, counters }, body) =>
  db.run(() =>
    db.transaction.begin(() =>
      body({
        call: () => queues.pushAsync(increment, { id: 'y' }),
        update: () => counters.updateOne({ _id: 'x' }, update),
      }),
    ),
  )
const theDrivers: Begin = ({ db, queues }, body) =>
  client.withSession(session =>
    session.withTransaction(() =>
      body({
        call: () => db.run(() => queues.pushAsync(increment, { id: 'y' })),
        update: () => outside().updateOne({ _id: 'x' }, update, { session }),
      }),
    ),
  )

test.each([
  ['has its job run once', ours, 1],
  ["without that, in the driver's own withTransaction, has it run twice: the symptom", theDrivers, 2],
])('a body that a conflict rolls back after its call %s', async (_, begin, expected) => {
  const runs: string[] = []
  const started = await start('levels', id => runs.push(id))
  const holder = client.startSession()
  holder.startTransaction()
  await outside().updateOne({ _id: 'x' }, { $inc: { n: 100 } }, { session: holder })
  let bodies = 0
  await begin(started, async parts => {
    bodies += 1
    await parts.call()
    if (bodies === 2) await holder.abortTransaction()
    await parts.update()
  })
  await holder.endSession()
  expect([bodies, runs]).toEqual([2, Array(expected).fill('y')])
  expect(await outside().findOne({ _id: 'y' })).toEqual({ _id: 'y', n: expected })
})
