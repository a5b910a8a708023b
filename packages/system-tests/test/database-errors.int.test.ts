import { randomUUID } from 'node:crypto'
import { createDbContext, type DbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { createQueues, createWorker, defineJob, type Queues } from '@strata/queue'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'

const insertTwice = defineJob({ name: 'insert-twice', input: z.object({}), output: z.void() })
const conflict = defineJob({ name: 'conflict', input: z.object({}), output: z.void() })

const database = `test-${randomUUID()}`
let client: MongoClient
let db: DbContext
let queues: Queues
let stop: () => Promise<void>

beforeAll(async () => {
  client = await new MongoClient(inject('mongoUrl')).connect()
  const rows = client.db(database).collection<{ _id: string; n: number }>('rows')
  await rows.insertOne({ _id: 'held', n: 0 })
  db = createDbContext({ datasources: [new FakeDatasource()] })
  const shared = { db, redis: inject('redisUrl'), prefix: database }
  queues = createQueues(shared)
  const worker = createWorker(shared)
  worker.handle(insertTwice, async () => {
    for (const n of [1, 2]) await rows.insertOne({ _id: 'same', n })
  })
  worker.handle(conflict, async () => {
    await client.withSession(async outer => {
      outer.startTransaction()
      await rows.updateOne({ _id: 'held' }, { $inc: { n: 1 } }, { session: outer })
      await client.withSession(async inner => {
        inner.startTransaction()
        await rows.updateOne({ _id: 'held' }, { $inc: { n: 1 } }, { session: inner })
      })
    })
  })
  await worker.start()
  stop = async () => {
    await worker.stop({ deadlineMs: 1000 })
    await queues.stop({ deadlineMs: 1000 })
    await db.stop({ deadlineMs: 1000 })
  }
})

afterAll(async () => {
  await stop()
  await client.db(database).dropDatabase()
  await client.close()
})

test('a duplicate key of the server arrives with its code, key and value', async () => {
  const error: unknown = await db.run(() => queues.pushAsync(insertTwice, {})).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'JOB_FAILED',
    outcome: 'unknown',
    details: { name: 'MongoServerError', code: 11_000 },
    cause: { name: 'MongoServerError', code: 11_000, keyPattern: { _id: 1 }, keyValue: { _id: 'same' } },
  })
  expect(error).toMatchObject({ cause: { remoteStack: expect.stringContaining('MongoServerError: E11000') } })
})

test('a write conflict of the server arrives with its code and its labels', async () => {
  await expect(db.run(() => queues.pushAsync(conflict, {}))).rejects.toMatchObject({
    code: 'JOB_FAILED',
    details: { code: 112, labels: ['TransientTransactionError'] },
    cause: { name: 'MongoServerError', code: 112, codeName: 'WriteConflict', labels: ['TransientTransactionError'] },
  })
})
