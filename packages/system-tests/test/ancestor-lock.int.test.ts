import { randomUUID } from 'node:crypto'
import { createDbContext, type DbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob, type Queues } from '@strata/queue'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { z } from 'zod'

interface Student {
  _id: string
  name: string
}

const input = z.object({ id: z.string(), name: z.string(), isInTransaction: z.boolean() })
const rename = defineJob({ name: 'rename', input, output: z.number() })
const renameDeeper = defineJob({ name: 'rename-deeper', input, output: z.number() })

const database = `test-${randomUUID()}`
const stops: (() => Promise<void>)[] = []
let client: MongoClient
/** Of `rename`. */
let runs = 0
let db: DbContext
let queues: Queues
let students: ReturnType<typeof open>['students']

/** A process of its own, as far as the context that travels is concerned: it shares nothing with the other. */
function open() {
  const store = mongoDatasource({ name: 'school', url: inject('mongoUrl'), database })
  const context = createDbContext({ datasources: [store], report: () => {} })
  const shared = { db: context, redis: inject('redisUrl'), prefix: database }
  return { context, shared, students: store.collection<Student>('students') }
}

beforeAll(async () => {
  client = await new MongoClient(inject('mongoUrl')).connect()
  await client.db(database).createCollection('students')
  const caller = open()
  db = caller.context
  students = caller.students
  queues = createQueues(caller.shared)
  const service = open()
  const worker = createWorker(service.shared)
  const deeper = createQueues(service.shared)
  worker.handle(rename, async ({ id, name, isInTransaction }) => {
    runs += 1
    if (id === 'nobody') throw new Error('Nobody to rename')
    const write = () => service.students.updateOne({ _id: id }, { $set: { name } })
    const { modifiedCount } = await (isInTransaction ? service.context.transaction.begin(write) : write())
    return modifiedCount
  })
  worker.handle(renameDeeper, data => deeper.pushAsync(rename, data))
  // What is measured is the end of a wait, and no first connection.
  await Promise.all([worker.start(), db.start(), queues.start(), deeper.start()])
  stops.push(
    () => worker.stop({ deadlineMs: 1000 }),
    () => queues.stop({ deadlineMs: 1000 }),
    () => deeper.stop({ deadlineMs: 1000 }),
    () => db.stop({ deadlineMs: 1000 }),
    () => service.context.stop({ deadlineMs: 1000 }),
  )
})

afterAll(async () => {
  for (const stop of stops) await stop()
  await client.db(database).dropDatabase()
  await client.close()
})

beforeEach(async () => {
  const rows = client.db(database).collection<Student>('students')
  await rows.deleteMany({})
  await rows.insertMany(['ada', 'ben'].map(_id => ({ _id, name: _id })))
})

test.each([
  ['a plain write of its job', rename, false, 1],
  ["its job's transaction", rename, true, 1],
  ["a job's job", renameDeeper, true, 2],
] as const)(
  '%s on a document of the transaction that awaits it ends in ANCESTOR_LOCK',
  async (_, job, isInTransaction, level) => {
    const began = performance.now()
    const ended = db.run(() =>
      db.transaction.begin(
        async () => {
          await students.updateOne({ _id: 'ada' }, { $set: { name: 'Ada' } })
          await queues.pushAsync(job, { id: 'ada', name: 'Augusta', isInTransaction })
        },
        { name: 'outer' },
      ),
    )
    expect(await ended.catch(error => error)).toMatchObject({
      code: 'ANCESTOR_LOCK',
      outcome: 'not-applied',
      details: { certain: true, level, collection: `${database}.students`, ancestor: { name: 'outer', level: 0 } },
    })
    expect(performance.now() - began).toBeLessThan(2000)
    expect(await db.run(() => students.findOne({ _id: 'ada' }))).toEqual({ _id: 'ada', name: 'ada' })
  },
)

/** The job that writes its ancestor's document, with attempts that BullMQ would make. */
async function renameOften(isInTransaction: boolean, fails: boolean) {
  const before = runs
  const ended = db.run(() =>
    db.transaction.begin(async () => {
      if (!fails) await students.updateOne({ _id: 'ada' }, { $set: { name: 'Ada' } })
      const data = { id: fails ? 'nobody' : 'ada', name: 'Augusta', isInTransaction }
      await queues.pushAsync(rename, data, { attempts: 3 })
    }),
  )
  const error = await ended.catch(thrown => thrown)
  return { error, runs: runs - before }
}

test.each([false, true])('a job that ends so runs once, whatever its attempts (in a transaction: %s)', async inside => {
  const { error, runs: times } = await renameOften(inside, false)
  expect(error).toMatchObject({ code: 'ANCESTOR_LOCK', outcome: 'not-applied', transient: false })
  expect(times).toBe(1)
})

test('while one that fails by itself has all of them', async () => {
  const { error, runs: times } = await renameOften(false, true)
  expect(error).toMatchObject({ code: 'JOB_FAILED' })
  expect(times).toBe(3)
})

test('another document of the same collection is written', async () => {
  const renamed = db.run(() =>
    db.transaction.begin(async () => {
      await students.updateOne({ _id: 'ada' }, { $set: { name: 'Ada' } })
      return await queues.pushAsync(rename, { id: 'ben', name: 'Ben', isInTransaction: true })
    }),
  )
  expect(await renamed).toBe(1)
})
