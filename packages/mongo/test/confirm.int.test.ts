import { type ServerHandle, startMongo, until } from '@strata/testkit'
import type { Document } from 'mongodb'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Item extends Document {
  _id: number
  n?: number
}

describe('a write that is applied while its majority is late', () => {
  let server: ServerHandle
  let harness: Harness
  let secondaries: MongoClient[] = []
  beforeAll(async () => {
    server = await startMongo({ members: 3, report: () => {} })
    harness = await startHarness({ url: server.url, pool: { max: 1 }, writeConcernTimeoutMs: 3000 })
    const { hosts, primary } = await harness.plain.db('admin').command({ hello: 1 })
    const others = hosts.filter((host: string) => host !== primary)
    secondaries = await Promise.all(
      others.map((host: string) => new MongoClient(`mongodb://${host}/?directConnection=true`).connect()),
    )
    // On every member: one that has not ended its first copy cannot be locked yet.
    const outside = harness.plain.db(harness.database).collection<Item>('items')
    await outside.insertOne({ _id: 1 }, { writeConcern: { w: 3, wtimeoutMS: 20_000 } })
  })
  afterAll(async () => {
    await harness?.[Symbol.asyncDispose]()
    await Promise.all(secondaries.map(client => client.close()))
    await server?.stop()
  })

  const items = () => harness.store.collection<Item>('items')

  /** Runs `body` while no secondary applies anything, so that nothing has a majority. */
  async function withoutMajority<T>(body: (release: () => Promise<unknown>) => Promise<T>): Promise<T> {
    for (const client of secondaries) {
      const lock = () => client.db('admin').command({ fsync: 1, lock: true })
      await until(lock, { deadlineMs: 10_000, message: 'a lock on a secondary' })
    }
    let locked = true
    const release = async () => {
      if (locked) await Promise.all(secondaries.map(client => client.db('admin').command({ fsyncUnlock: 1 })))
      locked = false
    }
    try {
      return await body(release)
    } finally {
      await release()
    }
  }

  /** A read that waits for the majority has no collection yet, only its command. */
  const isConfirming = async () => {
    const { inprog } = await harness.plain.db('admin').command({ currentOp: 1, active: true })
    return inprog.some(({ command }: Document) => command?.['$db'] === harness.database && command['find'] === 'items')
  }

  /** A read outside a transaction shows what a majority has, and that comes with the secondaries. */
  const untilCount = (n: number) =>
    until(async () => (await harness.db.run(() => items().findOne({ _id: 1 })))?.n === n, {
      deadlineMs: 5000,
      message: `a majority to have the count ${n}`,
    })

  it.each([
    ['updateOne', () => items().updateOne({ _id: 1 }, { $inc: { n: 1 } }), { matchedCount: 1, modifiedCount: 1 }],
    ['insertOne', () => items().insertOne({ _id: 2 }), { insertedId: 2 }],
    ['findOneAndUpdate', () => items().findOneAndUpdate({ _id: 1 }, { $inc: { n: 1 } }), { _id: 1, n: 1 }],
    ['replaceOne', () => items().replaceOne({ _id: 1 }, { n: 5 }), { matchedCount: 1, modifiedCount: 1 }],
    ['deleteOne', () => items().deleteOne({ _id: 2 }), { deletedCount: 1 }],
  ])('%s is not sent again, and gives its result when a majority has it', async (_, write, expected) => {
    const result = await withoutMajority(async release => {
      const written = harness.db.run<unknown>(write)
      await until(isConfirming, { deadlineMs: 2500, message: 'the read that waits for the majority' })
      await release()
      return await written
    })
    expect(result).toMatchObject(expected)
  })

  it.each([
    ['insertOne', 11_000, () => items().insertOne({ _id: 1 })],
    ['updateOne', 14, () => items().updateOne({ _id: 3 }, { $inc: { text: 1 } })],
    ['updateMany', 14, () => items().updateMany({ _id: 3 }, { $inc: { text: 1 } })],
    ['findOneAndUpdate', 14, () => items().findOneAndUpdate({ _id: 3 }, { $inc: { text: 1 } })],
  ])('%s that is refused while its majority is late has not been applied', async (_, code, write) => {
    const outside = harness.plain.db(harness.database).collection<Item>('items')
    await outside.insertOne({ _id: 3, text: 'a' }, { writeConcern: { w: 3 } })
    // What is refused waits for the majority of what came before it.
    const error = await withoutMajority(async release => {
      await outside.updateOne({ _id: 3 }, { $set: { seen: true } }, { writeConcern: { w: 1 } })
      const written = harness.db.run<unknown>(write).then(
        value => ({ value }),
        thrown => thrown,
      )
      const told = await Promise.race([written, until(isConfirming, { deadlineMs: 8000, message: '' }).catch(() => '')])
      await release()
      return told === undefined ? await written : told
    })
    await outside.deleteOne({ _id: 3 })
    expect(error).toMatchObject({ name: 'MongoServerError', code })
  })

  it('has counted each increment once', async () => {
    expect(await harness.db.run(() => items().find().toArray())).toEqual([{ _id: 1, n: 5 }])
  })

  it('says that it is applied and not confirmed when no majority comes', async () => {
    const error = await withoutMajority(() =>
      harness.db.run(() => items().updateOne({ _id: 1 }, { $inc: { n: 1 } })).catch(error => error),
    )
    expect(error).toMatchObject({ code: 'WRITE_UNCONFIRMED', outcome: 'applied' })
    await untilCount(6)
  })

  it('a transaction whose commit no majority confirms in time ends as unknown, and is committed', async () => {
    const { db } = harness
    const error = await withoutMajority(() =>
      db
        .run(() => db.transaction.begin(() => items().updateOne({ _id: 1 }, { $inc: { n: 10 } }), { deadlineMs: 1000 }))
        .catch(error => error),
    )
    expect(error).toMatchObject({ code: 'COMMIT_UNKNOWN', outcome: 'unknown' })
    await untilCount(16)
  })
})
