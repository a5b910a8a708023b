import { fileURLToPath } from 'node:url'
import { createInbox, type OnceOptions } from '@strata/consistency/inbox'
import { defineJob } from '@strata/queue'
import { gate, spawnNode, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { note } from './note.ts'
import { type Place, useStage } from './stage.ts'

const stage = useStage()
const workerFile = fileURLToPath(new URL('process/inbox-worker.ts', import.meta.url))
const done = defineJob({ name: 'other', queue: 'note', input: z.undefined(), output: z.literal('done') })

interface Note {
  readonly _id: string
  readonly by: string
}

type Options = OnceOptions<{ id: string }, { job: { name: string } }>

/** A consumer: its handler writes a note by the message's id, after `before`. */
async function consumer(place: Place, { slots = 10, before = async () => {}, ...options }: ConsumerOptions) {
  const { db, store } = place
  const inbox = createInbox({ db, datasource: store })
  await db.start()
  await inbox.ensureIndexes()
  const notes = store.collection<Note>('notes')
  const worker = stage.worker(db, { slots })
  let runs = 0
  worker.handle(
    note,
    inbox.once(async ({ id }) => {
      runs += 1
      await before(id)
      await notes.insertOne({ _id: id, by: 'consumer' })
      return { id, run: runs }
    }, options),
  )
  worker.handle(done, async () => 'done' as const)
  await worker.start()
  return { worker, runs: () => runs }
}

interface ConsumerOptions extends Options {
  readonly slots?: number
  readonly before?: (id: string) => Promise<unknown>
}

const byMessage = { key: ({ id }: { id: string }) => id }

test('200 messages, each delivered five times to four consumers, have 200 effects; the others get the stored result', async () => {
  const consumers = await Promise.all(
    Array.from({ length: 4 }, () => consumer(stage.place(), { slots: 5, ...byMessage })),
  )
  const { db } = stage.place()
  const queues = stage.queues(db)
  const ids = Array.from({ length: 200 }, (_, n) => `m${n}`)
  const deliveries = [1, 2, 3, 4, 5].flatMap(() => ids)
  const deliver = (id: string) => queues.pushAsync(note, { id }, { deadlineMs: 100_000 })
  const results = await db.run(() => Promise.all(deliveries.map(deliver)))
  const told = Map.groupBy(results, ({ id }) => id)
  expect([told.size, results.length]).toEqual([200, 1000])
  for (const [id, of] of told) expect([id, new Set(of.map(({ run }) => run)).size]).toEqual([id, 1])
  expect(await stage.outside.collection('notes').countDocuments()).toBe(200)
  expect(await stage.outside.collection('strata.inbox').countDocuments()).toBe(200)
  expect(consumers.reduce((sum, { runs }) => sum + runs(), 0)).toBeGreaterThanOrEqual(200)
  expect(stage.reports).toEqual([])
}, 120_000)

test('a duplicate that comes while the first runs leaves its slot to others, and gets the result of the first', async () => {
  const [begun, open] = [gate(), gate()]
  const before = async () => {
    begun.open()
    await open.wait()
  }
  const { db } = stage.place()
  const queues = stage.queues(db)
  await consumer(stage.place(), { slots: 1, before, ...byMessage })
  const first = db.run(() => queues.pushAsync(note, { id: 'a' }))
  await begun.wait()
  const second = await consumer(stage.place(), { slots: 1, ...byMessage })
  const duplicates = [1, 2].map(() => db.run(() => queues.pushAsync(note, { id: 'a' })))
  // The one free slot is the second consumer's: it serves this although both duplicates wait for it, too.
  expect(await db.run(() => queues.pushAsync(done, undefined, { deadlineMs: 20_000 }))).toBe('done')
  open.open()
  expect(await Promise.all([first, ...duplicates])).toEqual([1, 1, 1].map(run => ({ id: 'a', run })))
  expect(second.runs()).toBe(0)
})

test('without it a duplicate keeps the slot for lockWaitMs, and fails: the symptom', async () => {
  const open = gate()
  const place = stage.place({ lockWaitMs: 500 })
  const { db, store } = place
  await db.start()
  await store.service.createCollection('notes')
  const notes = store.collection<Note>('notes')
  const worker = stage.worker(db, { slots: 2 })
  worker.handle(note, ({ id }) =>
    db.transaction.begin(async () => {
      await notes.insertOne({ _id: id, by: 'plain' })
      await open.wait()
      return { id, run: 1 }
    }),
  )
  await worker.start()
  const caller = stage.place()
  const queues = stage.queues(caller.db)
  const calls = [1, 2].map(() => caller.db.run(() => queues.pushAsync(note, { id: 'a' })))
  await expect(Promise.any(calls.map(call => call.catch(error => Promise.resolve(error))))).resolves.toMatchObject({
    code: 'LOCK_TIMEOUT',
  })
  open.open()
  await Promise.allSettled(calls)
})

test('under isolation none a duplicate is put back as well', async () => {
  const [begun, open] = [gate(), gate()]
  const before = async () => {
    begun.open()
    await open.wait()
  }
  const { db } = stage.place({ isolation: 'none' })
  const queues = stage.queues(db)
  await consumer(stage.place({ isolation: 'none' }), { slots: 2, before, ...byMessage })
  const calls = [db.run(() => queues.pushAsync(note, { id: 'a' }))]
  await begun.wait()
  calls.push(db.run(() => queues.pushAsync(note, { id: 'a' })))
  expect(await db.run(() => queues.pushAsync(done, undefined, { deadlineMs: 20_000 }))).toBe('done')
  open.open()
  expect(await Promise.all(calls)).toEqual([1, 1].map(run => ({ id: 'a', run })))
})

test('a delivery whose call ends before the first run does is not applied, and nothing of it stays', async () => {
  const [begun, open] = [gate(), gate()]
  const before = async () => {
    begun.open()
    await open.wait()
  }
  const { db } = stage.place()
  const queues = stage.queues(db)
  const { runs } = await consumer(stage.place(), { before, ...byMessage })
  const first = db.run(() => queues.pushAsync(note, { id: 'a' }))
  await begun.wait()
  const late = db.run(() => queues.pushAsync(note, { id: 'a' }, { deadlineMs: 1000 }))
  await expect(late).rejects.toMatchObject({ code: 'CALL_TIMEOUT' })
  open.open()
  expect(await first).toEqual({ id: 'a', run: 1 })
  expect(runs()).toBe(1)
})

test('a message whose worker is killed in its handler is handled once, by the next delivery', async () => {
  const args = [stage.url, stage.database, stage.redis, stage.prefix]
  await using killed = await spawnNode(workerFile, { args, ipc: true })
  await killed.nextMessage(message => message === 'ready', 20_000)
  const { db } = stage.place()
  const queues = stage.queues(db)
  const pushed = await queues.push(note, { id: 'a' })
  await killed.nextMessage(message => message === 'written', 20_000)
  killed.kill('SIGKILL')
  await killed.exited
  const { runs } = await consumer(stage.place(), {})
  expect(await pushed.result({ deadlineMs: 50_000 })).toEqual({ id: 'a', run: 1 })
  expect(runs()).toBe(1)
  const notes = stage.outside.collection<Note>('notes')
  await until(async () => (await notes.countDocuments()) === 1, { deadlineMs: 5000, message: 'one note' })
  expect(await notes.find().toArray()).toEqual([{ _id: 'a', by: 'consumer' }])
})

test('a stored result that no longer fits the contract is a typed error that says that the work was done', async () => {
  const { db } = stage.place()
  const queues = stage.queues(db)
  const { runs } = await consumer(stage.place(), byMessage)
  const result = JSON.stringify({ name: 'of an older contract' })
  await stage.outside
    .collection<{ _id: string; v: number; at: Date; result: string }>('strata.inbox')
    .insertOne({ _id: 'note a', v: 1, at: new Date(), result })
  const call = db.run(() => queues.pushAsync(note, { id: 'a' }))
  await expect(call).rejects.toMatchObject({ code: 'RESULT_INVALID', outcome: 'applied', transient: false })
  expect(runs()).toBe(0)
})
