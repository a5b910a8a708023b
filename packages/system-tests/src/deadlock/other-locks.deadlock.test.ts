import { randomUUID } from 'node:crypto'
import { createDbContext, type Isolation } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob } from '@strata/queue'
import { gate, until } from '@strata/testkit'
import { expect, inject, it } from 'vitest'
import { z } from 'zod'
import { type Counter, end } from './fixture.ts'

const lockWaitMs = 800

/** Both jobs in one queue, so that they need the same slots. */
const name = z.object({ id: z.string() })
const increment = defineJob({ name: 'increment', queue: 'shared', input: name, output: z.number() })
const parent = defineJob({ name: 'parent', queue: 'shared', input: name, output: z.number() })

/** One process of requests and one of jobs, over one database: everything of size 1 unless said otherwise. */
async function open(isolation: Isolation, { size = 1, slots = 1 } = {}) {
  const database = `pairs-${randomUUID()}`
  const redis = { redis: inject('redisUrl'), prefix: database }
  const process = (max: number) => {
    const store = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database, pool: { max } })
    const db = createDbContext({ datasources: [store], isolation, lockWaitMs, report: () => {} })
    return { db, documents: store.collection<Counter>('documents') }
  }
  const api = process(size)
  const jobs = process(size)
  const add = ({ documents }: typeof api, id: string) => documents.updateOne({ _id: id }, { $inc: { n: 1 } })
  const worker = createWorker({ db: jobs.db, ...redis, lanes: { slots } })
  worker.handle(increment, async ({ id }) => (await add(jobs, id)).modifiedCount)
  const deeper = createQueues({ db: jobs.db, ...redis })
  worker.handle(parent, ({ id }) => deeper.pushAsync(increment, { id }))
  const queues = createQueues({ db: api.db, ...redis })
  const read = async () => {
    const all = await api.db.run(() => api.documents.find({}).sort({ _id: 1 }).toArray())
    return Object.fromEntries(all.map(({ _id, n }) => [_id, n]))
  }
  await api.db.run(() => api.documents.insertMany(['X', 'Y'].map(_id => ({ _id, n: 0 }))))
  await worker.start()
  return {
    db: api.db,
    worker,
    read,
    add: (id: string) => add(api, id),
    call: (id: string, deadlineMs: number) => queues.pushAsync(increment, { id }, { deadlineMs }),
    callParent: (id: string, deadlineMs: number) => queues.pushAsync(parent, { id }, { deadlineMs }),
    async [Symbol.asyncDispose]() {
      await worker.stop({ deadlineMs: 2000 })
      await Promise.all([queues.stop({ deadlineMs: 2000 }), deeper.stop({ deadlineMs: 2000 })])
      await Promise.all([api.db.stop({ deadlineMs: 2000 }), jobs.db.stop({ deadlineMs: 2000 })])
    },
  }
}

/** T has written X and awaits a job whose lane's only slot a stranger holds, which writes X. */
async function blockedSlot(isolation: Isolation, deadlineMs: number) {
  await using made = await open(isolation)
  const { db, worker, add, call, read } = made
  const written = gate()
  const stranger = written.wait().then(() => end(db.run(() => call('X', 20_000))))
  const ended = await end(
    db.run(() =>
      db.transaction.begin(async () => {
        await add('X')
        written.open()
        await until(() => worker.activities().length === 1, { message: 'the stranger to run', deadlineMs: 5000 })
        return await call('Y', deadlineMs)
      }),
    ),
  )
  return { ended, stranger: await stranger, data: await read() }
}

it('a stranger that waits for a document keeps the slot that the holder awaits, without levels', async () => {
  expect((await blockedSlot('none', 1500)).ended).toBe('CALL_TIMEOUT')
})

it('with levels the stranger is put back, and both go on', async () => {
  expect(await blockedSlot('levels', 20_000)).toEqual({ ended: 1, stranger: 1, data: { X: 2, Y: 1 } })
})

/** As above, but the stranger's job is a level deeper, and the slot is its parent's, which waits for it. */
async function blockedParent(isolation: Isolation, deadlineMs: number) {
  await using made = await open(isolation, { slots: isolation === 'none' ? 2 : 1, size: 2 })
  const { db, worker, add, call, callParent, read } = made
  const written = gate()
  const transaction = () => db.transaction.begin(() => callParent('X', 20_000))
  const stranger = written.wait().then(() => end(db.run(transaction)))
  const ended = await end(
    db.run(() =>
      db.transaction.begin(async () => {
        await add('X')
        written.open()
        await until(() => worker.activities().length === 2, { message: 'the stranger to run', deadlineMs: 5000 })
        return await call('Y', deadlineMs)
      }),
    ),
  )
  return { ended, stranger: await stranger, data: await read() }
}

it('the parent of a job that waits for a document keeps the slot that the holder awaits, without levels', async () => {
  expect((await blockedParent('none', 1500)).ended).toBe('CALL_TIMEOUT')
})

it('with levels the stranger is unwound up to its transaction, which is run again', async () => {
  expect(await blockedParent('levels', 20_000)).toEqual({ ended: 1, stranger: 1, data: { X: 2, Y: 1 } })
})

/** Two chains: each one's job writes what the other's transaction has written. */
async function crossed(isolation: Isolation, deadlineMs: number) {
  await using made = await open(isolation, { size: 2, slots: 2 })
  const { db, add, call, read } = made
  const written = [gate(), gate()] as const
  const chain = (mine: string, other: string, [own, others]: readonly (typeof written)[number][]) =>
    end(
      db.run(() =>
        db.transaction.begin(async () => {
          await add(mine)
          own?.open()
          await others?.wait()
          return await call(other, deadlineMs)
        }),
      ),
    )
  const ended = await Promise.all([chain('X', 'Y', written), chain('Y', 'X', [written[1], written[0]])])
  return { ended, data: await read() }
}

it('two chains that cross end at their deadlines without levels', async () => {
  expect((await crossed('none', 1500)).ended).toContain('CALL_TIMEOUT')
})

it('with levels one of them is unwound and run again, and everything is done once', async () => {
  for (let round = 0; round < 3; round += 1) {
    expect(await crossed('levels', 20_000)).toEqual({ ended: [1, 1], data: { X: 2, Y: 2 } })
  }
})
