import { AsyncLocalStorage } from 'node:async_hooks'
import { hasCode } from '@strata/db-context'
import { gate, until } from '@strata/testkit'
import { Db, type Document, MongoClient } from 'mongodb'
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

const connected = MongoClient.prototype.connect

interface Item extends Document {
  _id: number
}

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('the service door on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 1, serviceMax: 1, timeoutMs: 5000 }, streamsMax: 2 })
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const service = () => harness.store.service.collection<Item>('items')
  const bound = () => harness.store.collection<Item>('items')

  it('defines indexes and collections outside any unit of work', async () => {
    await harness.store.service.createCollection('items')
    expect(await service().createIndex({ at: 1 })).toBe('at_1')
    expect(await service().createIndexes([{ key: { by: 1 }, name: 'by' }])).toEqual(['by'])
    await service().dropIndex('by')
    expect((await service().listIndexes().toArray()).map(({ name }) => name)).toEqual(['_id_', 'at_1'])
    expect(await service().indexExists('at_1')).toBe(true)
    expect(await harness.store.service.collection('other').drop()).toBe(false)
  })

  it('reads several collections as they were at one moment', async () => {
    const { service: door } = harness.store
    await Promise.all(['items', 'others'].map(name => door.collection<Item>(name).insertOne({ _id: 900, n: 1 })))
    const { dbName: database } = service()
    const plain = harness.plain.db(database)
    const isIt = [{ $match: { _id: 900 } }]
    const read = await door.snapshot(async reader => {
      const [one] = await reader.aggregate({ database, collection: 'items' }, isIt)
      for (const name of ['items', 'others']) {
        await plain
          .collection<Item>(name)
          .updateOne({ _id: 900 }, { $inc: { n: 1 } }, { writeConcern: { w: 'majority' } })
      }
      const [two] = await reader.aggregate({ database, collection: 'others' }, isIt)
      return [one?.['n'], two?.['n']]
    })
    expect(read).toEqual([1, 1])
    await expect(door.snapshot(async () => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    for (const name of ['items', 'others']) await plain.collection<Item>(name).deleteOne({ _id: 900 })
  })

  it('creates a collection without a session, and within operationTimeoutMs whatever is asked for', async () => {
    const sent = vi.spyOn(Db.prototype, 'createCollection')
    onTestFinished(() => sent.mockRestore())
    const { service } = harness.store
    const session: object = { session: harness.plain.startSession() }
    expect(await service.createCollection('none', session).catch(error => error)).toMatchObject({
      code: 'SESSION_REFUSED',
    })
    await service.createCollection('a', { maxTimeMS: 10 ** 9 })
    await service.createCollection('b', { maxTimeMS: 9000 })
    expect(sent.mock.calls.map(([name, options]) => [name, (options?.maxTimeMS ?? 0) <= 30_000])).toEqual([
      ['a', true],
      ['b', true],
    ])
    expect(sent).toHaveBeenLastCalledWith('b', { maxTimeMS: 9000 })
  })

  it('is not part of the transaction around it', async () => {
    const { db } = harness
    const boom = new Error('boom')
    await expect(
      db.run(() =>
        db.transaction.begin(async () => {
          await bound().insertOne({ _id: 1 })
          await service().insertOne({ _id: 2 })
          throw boom
        }),
      ),
    ).rejects.toBe(boom)
    expect(await service().find().toArray()).toEqual([{ _id: 2 }])
  })

  it('reads a cursor of several batches with its only connection, and gives it back', async () => {
    await service().deleteMany({})
    await service().insertMany(Array.from({ length: 7 }, (_, _id) => ({ _id })))
    const seen: number[] = []
    for await (const { _id } of service().find({}, { batchSize: 2 })) seen.push(_id)
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(await service().countDocuments()).toBe(7)
  })

  it('closes no circle of waits: the body of its loop may wait for whoever waits for its pool', async () => {
    const { db } = harness
    await service().deleteMany({})
    await service().insertMany(Array.from({ length: 6 }, (_, _id) => ({ _id })))
    const reading = gate()
    const begun = gate()
    const reader = db.run(async () => {
      for await (const { _id } of service().find({}, { batchSize: 2 })) {
        reading.open()
        await begun.wait()
        await bound().findOne({ _id })
      }
    })
    const writer = db.run(() =>
      db.transaction.begin(async () => {
        await reading.wait()
        begun.open()
        await until(() => db.pools().some(({ level, waiting }) => level === 0 && waiting === 1), {
          deadlineMs: 2000,
          message: 'the body of the loop to wait for the level',
        })
        return await service().countDocuments()
      }),
    )
    expect(await Promise.all([reader, writer])).toEqual([undefined, 6])
    expect(db.pools().map(({ inUse }) => inUse)).toEqual(db.pools().map(() => 0))
  })

  it('reads its cursors as those of a level, document by document', async () => {
    const cursor = service()
      .find({ _id: { $gte: 1 } }, { batchSize: 2 })
      .map(({ _id }) => _id)
    expect([await cursor.next(), await cursor.tryNext(), await cursor.hasNext()]).toEqual([1, 2, true])
    cursor.rewind()
    expect(await Promise.all([cursor.next(), cursor.next()])).toEqual([1, 2])
    expect(cursor.closed).toBe(false)
    expect(await cursor.toArray()).toEqual([3, 4, 5])
    expect([cursor.closed, cursor.bufferedCount()]).toEqual([true, 0])
  })

  it('refuses its own work at a level', async () => {
    const level = bound() as unknown as ReturnType<typeof service>
    await harness.db.run(async () => {
      const error = await level.createIndex({ a: 1 }).catch(error => error)
      expect(error).toMatchObject({ code: 'SERVICE_ONLY', outcome: 'not-applied' })
      expect(() => level.watch()).toThrow(/service door/)
    })
  })

  it('streams changes beside its pool, up to streamsMax, and frees a place with each close', async () => {
    const first = service().watch<Item>([], { maxAwaitTimeMS: 100 })
    const second = service().watch()
    const changes: unknown[] = []
    first.on('change', change => changes.push(change.operationType))
    await until(
      async () => {
        await service().updateOne({ _id: 1 }, { $inc: { n: 1 } })
        return changes.includes('update')
      },
      { deadlineMs: 5000, message: 'a change' },
    )
    let error: unknown
    try {
      service().watch()
    } catch (thrown) {
      error = thrown
    }
    expect(hasCode(error, 'STREAM_LIMIT')).toBe(true)
    await first.close()
    await second.close()
    await service().watch().close()
  })
})

it('connects change streams outside the unit of work that opens the first', async () => {
  await using harness = await startHarness({ url: inject('mongoUrl') })
  const unit = new AsyncLocalStorage<string>()
  const connect = vi.spyOn(MongoClient.prototype, 'connect')
  onTestFinished(() => connect.mockRestore())
  const connectedIn: unknown[] = []
  connect.mockImplementation(function (this: MongoClient) {
    connectedIn.push(unit.getStore())
    return connected.call(this)
  })
  const stream = harness.store.service.collection('items')
  await unit.run('unit', () => stream.watch([], { maxAwaitTimeMS: 10 }).tryNext())
  expect(connectedIn).toEqual([undefined])
})

it('closes change streams with the context', async () => {
  const harness = await startHarness({ url: inject('mongoUrl') })
  const stream = harness.store.service.collection('items').watch()
  const ended = stream.next().catch(error => error)
  await until(() => harness.db.pools().length > 0, { deadlineMs: 1000, message: 'pools' })
  await harness[Symbol.asyncDispose]()
  expect(await ended).toBeInstanceOf(Error)
  expect(stream.closed).toBe(true)
  const error = await harness.store.service
    .collection('items')
    .findOne()
    .catch(error => error)
  expect(error).toMatchObject({ code: 'STOPPED' })
  const late = () => harness.store.service.collection('items').watch()
  expect(late).toThrow(expect.objectContaining({ code: 'STOPPED', outcome: 'not-applied' }))
})
