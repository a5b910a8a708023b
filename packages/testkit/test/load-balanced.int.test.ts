import { once } from 'node:events'
import { MongoClient } from 'mongodb'
import { expect, inject, onTestFinished, test } from 'vitest'
import { startLoadBalancedProxy, startMongo, until } from '../src/index.ts'

interface Thing {
  readonly _id: number
  readonly text?: string
}

/** A client with a single connection, and a collection of five. */
async function singleConnection(url: string, name: string) {
  const client = new MongoClient(url, { maxPoolSize: 1, minPoolSize: 1, waitQueueTimeoutMS: 300 })
  onTestFinished(() => client.close())
  // Before the first wait for it: those are short, and a busy machine takes its time to open one.
  const isOpen = once(client, 'connectionReady')
  await client.connect()
  await isOpen
  const things = client.db('testkit_load_balanced').collection<Thing>(name)
  await things.deleteMany({})
  await things.insertMany([1, 2, 3, 4, 5].map(_id => ({ _id })))
  return { client, things }
}

const starved = (by: string) => ({
  name: 'MongoWaitQueueTimeoutError',
  message: expect.stringContaining(`connections in use by ${by}: 1`),
})

test('an open transaction keeps the only connection from a read outside it', async () => {
  const { client, things } = await singleConnection(inject('mongoLbUrl'), 'open')
  await client.withSession(async session => {
    session.startTransaction()
    await things.updateOne({ _id: 1 }, { $set: { text: 'new' } }, { session })
    await expect(things.findOne({ _id: 2 })).rejects.toMatchObject(starved('transactions'))
    await session.abortTransaction()
  })
})

test('a committed transaction keeps it until its session ends', async () => {
  const { client, things } = await singleConnection(inject('mongoLbUrl'), 'committed')
  const session = client.startSession()
  session.startTransaction()
  await things.updateOne({ _id: 1 }, { $set: { text: 'new' } }, { session })
  await session.commitTransaction()
  await expect(things.findOne({ _id: 2 })).rejects.toMatchObject(starved('transactions'))
  await session.endSession()
  expect(await things.findOne({ _id: 1 })).toEqual({ _id: 1, text: 'new' })
})

test('an open cursor with more batches keeps it', async () => {
  const { things } = await singleConnection(inject('mongoLbUrl'), 'cursor')
  const cursor = things.find({}, { batchSize: 2 })
  await cursor.next()
  await expect(things.findOne({ _id: 2 })).rejects.toMatchObject(starved('cursors'))
  await cursor.close()
  expect(await things.findOne({ _id: 2 })).toEqual({ _id: 2 })
})

test('none of it holds on the replica set itself', async () => {
  const { client, things } = await singleConnection(inject('mongoUrl'), 'plain')
  await client.withSession(async session => {
    session.startTransaction()
    await things.updateOne({ _id: 1 }, { $set: { text: 'new' } }, { session })
    expect(await things.findOne({ _id: 2 })).toEqual({ _id: 2 })
    await session.abortTransaction()
  })
})

test('large documents pass unchanged, and the URL says what it is', async () => {
  expect(inject('mongoLbUrl')).toMatch(/\/\?loadBalanced=true$/)
  const { things } = await singleConnection(inject('mongoLbUrl'), 'large')
  const text = 'x'.repeat(8_000_000)
  await things.insertOne({ _id: 9, text })
  expect((await things.findOne({ _id: 9 }))?.text === text).toBe(true)
})

test('after an election new connections go to the new primary', async () => {
  await using mongo = await startMongo({ members: 3, report: () => {} })
  await using proxy = await startLoadBalancedProxy(mongo.url)
  const client = new MongoClient(proxy.url, { maxPoolSize: 1 })
  onTestFinished(() => client.close())
  const things = client.db('testkit_election').collection<Thing>('things')
  await things.insertOne({ _id: 1 })
  const direct = new MongoClient(mongo.url)
  onTestFinished(() => direct.close())
  const hello = await direct.db('admin').command({ hello: 1 })
  mongo.members.find(member => String(hello['me']).endsWith(`:${member.port}`))?.kill()
  const writes = async (): Promise<boolean> => (await things.insertOne({ _id: 2 }).catch(isDuplicate)) !== undefined
  await until(writes, { deadlineMs: 30_000, message: 'a write to reach the new primary', everyMs: 200 })
})

/** An earlier try may have been applied although its answer was lost. */
function isDuplicate(error: { code?: number }): true {
  if (error.code === 11_000) return true
  throw error
}
