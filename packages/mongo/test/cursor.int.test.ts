import { hasCode } from '@strata/db-context'
import { gate, until } from '@strata/testkit'
import type { Document } from 'mongodb'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Item extends Document {
  _id: number
}

const ids = (count: number) => Array.from({ length: count }, (_, _id) => ({ _id }))

async function collect<T>(docs: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const doc of docs) all.push(doc)
  return all
}

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('cursors on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 1 } })
    await harness.plain.db(harness.database).collection<Item>('items').insertMany(ids(25))
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const items = () => harness.store.collection<Item>('items')
  const find = () => items().find({}, { batchSize: 10 }).sort({ _id: 1 })
  const run = <T>(fn: () => Promise<T>) => harness.db.run(fn)
  const inUse = () => harness.db.pools().find(({ level }) => level === 0)?.inUse

  it.each([
    ['toArray', () => find().toArray()],
    ['for await', () => collect(find())],
    ['stream', () => collect(find().stream())],
    ['aggregate', () => items().aggregate<Item>([], { batchSize: 10 }).sort({ _id: 1 }).toArray()],
    [
      'next',
      async () => {
        const cursor = find()
        const docs: Item[] = []
        for (let doc = await cursor.next(); doc; doc = await cursor.next()) docs.push(doc)
        return docs
      },
    ],
    [
      'hasNext and buffered documents',
      async () => {
        const cursor = find()
        const docs: Item[] = []
        while (await cursor.hasNext()) docs.push(...cursor.readBufferedDocuments())
        return docs
      },
    ],
    [
      'forEach',
      async () => {
        const docs: Item[] = []
        await find().forEach(doc => void docs.push(doc))
        return docs
      },
    ],
  ])('%s reads every document once, outside and inside a transaction', async (_, read) => {
    expect(await run(read)).toEqual(ids(25))
    expect(await run(() => harness.db.transaction.begin(read))).toEqual(ids(25))
    expect(inUse()).toBe(0)
  })

  it('maps, projects, limits and counts like the cursor of the driver', async () => {
    await run(async () => {
      const mapped = items()
        .find()
        .sort({ _id: -1 })
        .limit(12)
        .batchSize(5)
        .map(({ _id }) => _id * 2)
      expect(await mapped.toArray()).toEqual(Array.from({ length: 12 }, (_, index) => (24 - index) * 2))
      expect(
        await items()
          .find({ _id: { $lt: 3 } })
          .explain(),
      ).toHaveProperty('queryPlanner')
      expect((await items().listIndexes().toArray()).map(({ name }) => name)).toEqual(['_id_'])
      expect(await items().countDocuments({ _id: { $gte: 20 } })).toBe(5)
      expect(await items().distinct('_id', { _id: { $lt: 2 } })).toEqual([0, 1])
    })
  })

  it('reads again from the start after rewind', async () => {
    await run(async () => {
      const cursor = find()
      expect(await cursor.next()).toEqual({ _id: 0 })
      cursor.rewind()
      expect(await cursor.next()).toEqual({ _id: 0 })
      await cursor.close()
    })
    expect(inUse()).toBe(0)
  })

  it('gives everything back when its loop is left early', async () => {
    await run(async () => {
      for await (const { _id } of find()) if (_id === 3) break
      expect(await items().findOne({ _id: 1 })).toEqual({ _id: 1 })
    })
    expect(inUse()).toBe(0)
  })

  it('is closed with its unit of work, and says so', async () => {
    const cursor = await run(async () => {
      const cursor = find()
      await cursor.next()
      return cursor
    })
    expect(inUse()).toBe(0)
    const error = await run(() => cursor.next()).catch(error => error)
    expect(hasCode(error, 'CONTEXT_ENDED')).toBe(true)
  })

  it('is closed before its transaction commits, and says so', async () => {
    await run(async () => {
      const cursor = await harness.db.transaction.begin(async () => {
        const cursor = find()
        await cursor.next()
        return cursor
      })
      const error = await cursor.next().catch(error => error)
      expect(hasCode(error, 'TRANSACTION_ENDED')).toBe(true)
      expect(await items().findOne({ _id: 1 })).toEqual({ _id: 1 })
    })
  })

  it('refuses tailable cursors, clones and sessions', async () => {
    const session: object = { session: harness.plain.startSession() }
    await run(async () => {
      const code = (call: () => unknown) => {
        try {
          call()
        } catch (error) {
          return (error as { code?: unknown }).code
        }
        return undefined
      }
      expect(code(() => items().find({}, { tailable: true }))).toBe('SERVICE_ONLY')
      expect(code(() => Reflect.get(items().find(), 'clone').call(items().find()))).toBe('SERVICE_ONLY')
      expect(code(() => items().find({}, session))).toBe('SESSION_REFUSED')
      expect(code(() => items().listSearchIndexes(session))).toBe('SESSION_REFUSED')
      expect(code(() => items().listSearchIndexes('any', session))).toBe('SESSION_REFUSED')
    })
  })
})

describe('a cursor with more batches', () => {
  it('leaves the only connection free between two fetches on a replica set', async () => {
    await using harness = await startHarness({ url: inject('mongoUrl'), pool: { max: 1 } })
    const items = harness.store.collection<Item>('items')
    await harness.plain.db(harness.database).collection<Item>('items').insertMany(ids(6))
    const seen = await harness.db.run(async () => {
      const seen: unknown[] = []
      for await (const { _id } of items.find({}, { batchSize: 2 })) seen.push(await items.findOne({ _id }))
      return seen
    })
    expect(seen).toHaveLength(6)
  })

  it('refuses a wait for its own pool behind a load balancer, however large the pool, and not one level deeper', async () => {
    await using harness = await startHarness({ url: inject('mongoLbUrl'), pool: { max: 10 } })
    const items = harness.store.collection<Item>('items')
    await harness.plain.db(harness.database).collection<Item>('items').insertMany(ids(6))
    const { db } = harness
    const inLoop = (body: () => Promise<unknown>, batchSize = 2) =>
      db.run(async () => {
        for await (const _ of items.find({}, { batchSize })) await body()
      })
    const error = await inLoop(() => items.findOne()).catch(error => error)
    expect(error).toMatchObject({ code: 'HOLD_AND_WAIT', outcome: 'not-applied' })
    const begun = await inLoop(() => db.transaction.begin(async () => {})).catch(error => error)
    expect(begun).toMatchObject({ code: 'HOLD_AND_WAIT' })
    await inLoop(() => db.switchDbIsolate(() => items.findOne()))
    // All of it in the first batch: nothing is held when the loop's body runs.
    await inLoop(() => items.findOne(), 100)
    expect(db.pools().map(({ inUse }) => inUse)).toEqual(db.pools().map(() => 0))
  })
})

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('fetches of one cursor on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 2, timeoutMs: 2000 } })
    await harness.plain.db(harness.database).collection<Item>('items').insertMany(ids(6))
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const items = () => harness.store.collection<Item>('items')
  const inUse = () => harness.db.pools().reduce((sum, pool) => sum + pool.inUse, 0)

  it('asked for at once come in a row, with one connection', async () => {
    await harness.db.run(async () => {
      const cursor = items().find({}, { batchSize: 2 }).sort({ _id: 1 })
      const docs = await Promise.all([cursor.next(), cursor.next(), cursor.next(), cursor.hasNext(), cursor.next()])
      expect(docs).toEqual([{ _id: 0 }, { _id: 1 }, { _id: 2 }, true, { _id: 3 }])
      expect(inUse()).toBe(key === 'mongoLbUrl' ? 1 : 0)
      const [rest] = await Promise.all([cursor.toArray(), cursor.close()])
      expect(rest).toEqual([{ _id: 4 }, { _id: 5 }])
      expect(inUse()).toBe(0)
    })
  })

  it.each([0, 2])('give everything back when their unit is given up after %i documents', async read => {
    const { db } = harness
    const filter = {
      $expr: {
        $function: { body: 'function(id) { sleep(id < 2 ? 0 : 100); return true }', args: ['$_id'], lang: 'js' },
      },
    }
    const giveUp = new AbortController()
    const closed = gate()
    let late: Promise<unknown> | undefined
    const unit = db
      .run(
        async () => {
          const cursor = items()
            .find(read === 0 ? { _id: { $gte: 2 }, ...filter } : filter, { batchSize: 2 })
            .sort({ $natural: 1 })
          cursor.once('close', closed.open)
          for (let i = 0; i < read; i += 1) await cursor.next()
          late = cursor
            .next()
            .then(() => cursor.next())
            .catch(error => error)
          await new Promise(() => {})
        },
        { signal: giveUp.signal },
      )
      .catch(error => error)
    await until(() => late !== undefined && db.activities().some(({ phase }) => phase === 'running'), {
      deadlineMs: 2000,
      message: 'a fetch to be under way',
    })
    giveUp.abort()
    expect(await unit).toMatchObject({ code: 'ABORTED' })
    expect(inUse()).toBe(1)
    expect(await late).toMatchObject({ code: 'CONTEXT_ENDED' })
    await closed.wait()
    await until(() => inUse() === 0, { deadlineMs: 2000, message: 'the permit to come back' })
    const both = () => db.run(() => Promise.all([items().findOne({ _id: 1 }), items().findOne({ _id: 2 })]))
    expect(await both()).toEqual([{ _id: 1 }, { _id: 2 }])
    const { inprog } = await harness.plain.db('admin').command({ currentOp: 1, idleCursors: true })
    const open = inprog.filter(({ type, ns }: Document) => type === 'idleCursor' && ns === `${harness.database}.items`)
    expect(open).toEqual([])
  })
})

describe('bulk writes', () => {
  it('run where they were begun, in one session', async () => {
    await using harness = await startHarness({ url: inject('mongoUrl'), pool: { max: 1 } })
    const items = harness.store.collection<Item>('items')
    const { db } = harness
    await harness.plain.db(harness.database).createCollection('items')
    const boom = new Error('boom')
    await expect(
      db.run(() =>
        db.transaction.begin(async () => {
          await items.insertMany(ids(3))
          await items.bulkWrite([{ deleteOne: { filter: { _id: 0 } } }])
          const bulk = items.initializeOrderedBulkOp()
          bulk
            .insert({ _id: 7 })
            .find({ _id: 1 })
            .upsert()
            .updateOne({ $set: { a: 1 } })
            .find({ _id: 2 })
            .deleteOne()
          expect(await bulk.execute()).toMatchObject({ insertedCount: 1, modifiedCount: 1, deletedCount: 1 })
          expect(await items.countDocuments()).toBe(2)
          throw boom
        }),
      ),
    ).rejects.toBe(boom)
    expect(await db.run(() => items.countDocuments())).toBe(0)
  })
})
