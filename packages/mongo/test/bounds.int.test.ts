import { createDbContext } from '@strata/db-context'
import { gate, startFaultProxy, until } from '@strata/testkit'
import type { Document } from 'mongodb'
import { describe, expect, inject, it } from 'vitest'
import { mongoDatasource } from '../src/index.ts'
import { startHarness } from './harness.ts'

interface Item extends Document {
  _id: number
}

describe('bounds', () => {
  it('says within startTimeoutMs that no server answers, and starts when one does', async () => {
    await using proxy = await startFaultProxy(inject('mongoUrl'))
    const store = mongoDatasource({ name: 'main', url: proxy.url, startTimeoutMs: 1000 })
    await using db = createDbContext({ datasources: [store], levels: { max: 1 } })
    proxy.refuse(true)
    const started = performance.now()
    for (let i = 0; i < 2; i += 1) {
      const error = await db.run(async () => {}).catch(error => error)
      expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', outcome: 'not-applied', transient: true })
    }
    expect(performance.now() - started).toBeLessThan(4000)
    proxy.refuse(false)
    expect(await db.run(() => store.collection('none').findOne())).toBeNull()
  })

  it('names the pool that no connection of came free', async () => {
    await using harness = await startHarness({ url: inject('mongoUrl'), pool: { max: 1, timeoutMs: 200 } })
    const items = harness.store.collection<Item>('items')
    const { db } = harness
    const begun = gate()
    const open = gate()
    const holder = db.run(() =>
      db.transaction.begin(async () => {
        begun.open()
        await open.wait()
      }),
    )
    await begun.wait()
    const error = await db.run(() => items.findOne()).catch(error => error)
    open.open()
    await holder
    expect(error).toMatchObject({ code: 'POOL_TIMEOUT', details: { level: 0, max: 1 } })
  })

  it("ends an operation that takes longer than operationTimeoutMs, but a user's own limit as the driver does", async () => {
    await using harness = await startHarness({ url: inject('mongoUrl'), operationTimeoutMs: 250 })
    const items = harness.store.collection<Item>('items')
    const slow = { $expr: { $function: { body: 'function() { sleep(400); return true }', args: [], lang: 'js' } } }
    const { db } = harness
    await db.run(async () => {
      await items.insertOne({ _id: 1 })
      expect(await items.findOne(slow).catch(error => error)).toMatchObject({
        code: 'OPERATION_TIMEOUT',
        outcome: 'not-applied',
      })
      expect(await items.updateMany(slow, { $set: { a: 1 } }).catch(error => error)).toMatchObject({
        code: 'OPERATION_TIMEOUT',
        outcome: 'unknown',
      })
      const copy = items.aggregate([{ $match: slow }, { $merge: 'copies' }])
      expect(await copy.toArray().catch(error => error)).toMatchObject({
        code: 'OPERATION_TIMEOUT',
        outcome: 'unknown',
      })
      expect(
        await items
          .find(slow, { maxTimeMS: 100 })
          .toArray()
          .catch(error => error),
      ).toMatchObject({
        name: 'MongoServerError',
        // MaxTimeMSExpired; Interrupted where the server's JavaScript notices it before the server does.
        code: expect.toBeOneOf([50, 11601]),
      })
      expect(
        await items
          .find(slow)
          .maxTimeMS(100)
          .toArray()
          .catch(error => error),
      ).toMatchObject({ code: 50 })
    })
    const late = await db.run(() => items.find(slow).toArray(), { deadlineMs: 150 }).catch(error => error)
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  })

  it('does not know what became of a write that it gave up where there may be several shards', async () => {
    await using harness = await startHarness({ url: inject('mongoLbUrl'), operationTimeoutMs: 250 })
    const items = harness.store.collection<Item>('items')
    const slow = { $expr: { $function: { body: 'function() { sleep(400); return true }', args: [], lang: 'js' } } }
    const { db } = harness
    await db.run(() => items.insertOne({ _id: 1 }))
    const write = () => items.updateOne({ _id: 1, ...slow }, { $set: { a: 1 } })
    expect(await db.run(write).catch(error => error)).toMatchObject({ code: 'OPERATION_TIMEOUT', outcome: 'unknown' })
    // Inside a transaction nothing is applied before its commit.
    const begun = db.run(() => db.transaction.begin(write, { retries: 0 })).catch(error => error)
    expect(await begun).toMatchObject({ code: 'OPERATION_TIMEOUT', outcome: 'not-applied' })
  })

  it('makes one store of two URLs that differ in database and order', async () => {
    const url = inject('mongoUrl')
    const make = (name: string, options: object = {}) => mongoDatasource({ name, url, pool: { max: 1 }, ...options })
    const [a, b] = [make('a'), make('b', { url: url.replace('/?', '/other?appName=x&') })]
    await using db = createDbContext({ datasources: [a, b], levels: { max: 1 } })
    await db.start()
    expect(db.pools().map(({ datasource, level }) => [datasource, level])).toEqual([
      ['a+b', 0],
      ['a+b', 1],
      ['a+b', 'service'],
    ])
    expect(a.collection('x').namespace).toBe('a.x')
    expect(b.collection('x').namespace).toBe('other.x')
    expect(() => createDbContext({ datasources: [make('c'), make('d', { pool: { max: 2 } })] })).toThrow(/equal pools/)
  })
})

describe('without permits', () => {
  const context = { isolation: 'none' } as const
  const pool = { max: 1, timeoutMs: 1000 }

  it('shows that a read waits for the connection that its own transaction pins, and ends the wait typed', async () => {
    await using harness = await startHarness({ url: inject('mongoLbUrl'), pool, context })
    const { db } = harness
    const items = harness.store.collection<Item>('items')
    const ended = db
      .run(() =>
        db.transaction.begin(async () => {
          await items.insertOne({ _id: 1 })
          await db.run(() => items.findOne())
        }),
      )
      .catch(error => error)
    await until(() => db.activities().some(({ what, phase }) => what === 'items.findOne' && phase === 'connecting'), {
      deadlineMs: 900,
      message: 'the read to wait for a connection',
    })
    expect(db.pools()).toMatchObject([{ inUse: 1, waiting: 1 }])
    expect(await ended).toMatchObject({ code: 'POOL_TIMEOUT', outcome: 'not-applied' })
  })

  it('shows that a commit starves behind the write that waits for it, and ends the wait typed', async () => {
    const bounds = { operationTimeoutMs: 4000, writeConcernTimeoutMs: 4000 }
    await using harness = await startHarness({ url: inject('mongoUrl'), pool, context, ...bounds })
    const { db } = harness
    const items = harness.store.collection<Item>('items')
    await db.run(() => items.insertOne({ _id: 1 }))
    const increment = () => items.updateOne({ _id: 1 }, { $inc: { n: 1 } })
    const isBlocked = () => db.activities().some(({ what, phase }) => what === 'items.updateOne' && phase === 'running')
    let blocked: Promise<unknown> | undefined
    const ended = db
      .run(() =>
        db.transaction.begin(
          async () => {
            await increment()
            blocked = db.run(increment).catch(error => error)
            await until(isBlocked, { deadlineMs: 900, message: 'the write to be blocked' })
          },
          { retries: 0, deadlineMs: 1000 },
        ),
      )
      .catch(error => error)
    await until(() => db.activities().some(({ what, phase }) => what === 'transaction' && phase === 'connecting'), {
      deadlineMs: 900,
      message: 'the commit to wait for a connection',
    })
    expect(await ended).toMatchObject({ code: 'POOL_TIMEOUT' })
    expect(await blocked).toMatchObject({ code: 'OPERATION_TIMEOUT' })
  })
})

it('runs a transaction again when its connection is cut, and leaves nothing behind', async () => {
  await using proxy = await startFaultProxy(inject('mongoUrl'))
  await using harness = await startHarness({ url: proxy.url, pool: { max: 1 } })
  const items = harness.store.collection<Item>('items')
  const { db } = harness
  await harness.plain.db(harness.database).createCollection('items')
  let attempts = 0
  await db.run(() =>
    db.transaction.begin(async () => {
      attempts += 1
      await items.insertOne({ _id: attempts })
      if (attempts === 1) proxy.cut()
      await items.insertOne({ _id: 10 })
    }),
  )
  expect(attempts).toBe(2)
  expect(await db.run(() => items.distinct('_id'))).toEqual([2, 10])
})
