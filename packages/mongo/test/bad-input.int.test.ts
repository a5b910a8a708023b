import type { ChainLink, RunningUnit } from '@strata/db-context'
import { startMongo } from '@strata/testkit'
import type { Document } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Doc extends Document {
  _id: unknown
}

const circle: Document = {}
circle['self'] = circle

const nested = (depth: number): Document => (depth === 0 ? {} : { in: nested(depth - 1) })

/** What MongoDB cannot take, where it is refused, and whether the driver has begun the transaction with it. */
const refused: [string, (docs: ReturnType<Harness['store']['collection']>) => Promise<unknown>, object, string][] = [
  ['a circle', docs => docs.insertOne(circle), { name: 'BSONError' }, 'encoder'],
  ['a key with a null byte', docs => docs.insertOne({ 'a\0b': 1 }), { name: 'BSONError' }, 'encoder'],
  [
    'an id of another BSON',
    docs => docs.insertOne({ n: { _bsontype: 'ObjectId' } }),
    { name: 'BSONVersionError' },
    'encoder',
  ],
  [
    'an update without an operator',
    docs => docs.updateOne({}, { n: 1 }),
    { name: 'MongoInvalidArgumentError' },
    'driver',
  ],
  ['what is too deep', docs => docs.insertOne({ n: nested(300) }), { code: 15 }, 'server'],
  ['an _id that is a list', docs => docs.insertOne({ _id: [1] as never }), { code: 53 }, 'server'],
  ['a filter with an unknown operator', docs => docs.deleteOne({ $nope: 1 }), { code: 2 }, 'server'],
  [
    'an unknown operator',
    docs => docs.updateOne({ _id: 'there' as never }, { $nope: { n: 1 } }),
    { code: 9 },
    'server',
  ],
  ['a taken key', docs => docs.insertOne({ _id: 'there' as never }), { code: 11_000 }, 'server'],
  ['what the collection does not allow', docs => docs.insertOne({ n: 'text' }), { code: 121 }, 'server'],
]

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('input that MongoDB cannot take, on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 1 } })
    const validator = { $or: [{ n: { $exists: false } }, { n: { $type: ['number', 'object'] } }] }
    await harness.plain.db(harness.database).createCollection('docs', { validator })
  })
  afterAll(() => harness[Symbol.asyncDispose]())
  beforeEach(async () => {
    await outside().deleteMany({})
    await outside().insertOne({ _id: 'there' })
  })
  afterEach(() => {
    expect(harness.db.pools().filter(({ inUse, waiting }) => inUse + waiting > 0)).toEqual([])
  })

  const docs = () => harness.store.collection('docs')
  const outside = () => harness.plain.db(harness.database).collection<Doc>('docs')
  const ids = async () => (await outside().find().toArray()).map(({ _id }) => _id)
  const begin = (body: () => Promise<unknown>) =>
    harness.db.run(() => harness.db.transaction.begin(body)).catch((thrown: unknown) => thrown)
  const chain: ChainLink[] = [{ kind: 'run', name: 'request', id: 'run-1', level: 0 }]
  const job = { name: 'job', id: 'job-1', level: 1, chain, lane: { queue: 'q', level: 1 } }

  it.each(refused)('%s comes out as the driver says it, and nothing is written', async (_, write, expected) => {
    const inTransaction = await begin(async () => {
      await docs().insertOne({ _id: 'first' as never })
      await write(docs())
    })
    expect(inTransaction).toMatchObject(expected)
    let unit: RunningUnit | undefined
    const plain = await harness.db.propagator.run(job, async (_signal, running) => {
      unit = running
      return await write(docs()).catch((thrown: unknown) => thrown)
    })
    expect(plain).toMatchObject(expected)
    expect(unit?.hasEffects).toBe(false)
    expect(await ids()).toEqual(['there'])
  })

  it.each(refused)('%s that is caught first of all in a transaction ends typed', async (_, write, expected, by) => {
    const body = async () => {
      await write(docs()).catch(() => {})
      await docs().insertOne({ _id: 'next' as never })
    }
    if (by === 'driver') expect(await begin(body)).toBeUndefined()
    else expect(await begin(body)).toMatchObject({ code: 'ROLLBACK_ONLY', outcome: 'not-applied', cause: expected })
    expect(await ids()).toEqual(by === 'driver' ? ['there', 'next'] : ['there'])
  })

  it('several documents of which one is refused count as written, because some may be', async () => {
    let unit: RunningUnit | undefined
    const some = ['a', 'there', 'b'].map(_id => ({ _id: _id as never }))
    const error = await harness.db.propagator.run(job, async (_signal, running) => {
      unit = running
      return await docs()
        .insertMany(some)
        .catch((thrown: unknown) => thrown)
    })
    expect(error).toMatchObject({ name: 'MongoBulkWriteError', code: 11_000 })
    expect(unit?.hasEffects).toBe(true)
    expect(await ids()).toEqual(['there', 'a'])
  })

  it('what BSON changes is written changed, as with the driver', async () => {
    const changed = { _id: 'changed', none: undefined, run: () => {}, half: '\ud800', big: 2n ** 63n }
    await harness.db.run(() => docs().insertOne(changed as never))
    const [found] = await outside().find().sort({ _id: 1 }).toArray()
    expect({ ...found, big: String(found?.['big']) }).toEqual({
      _id: 'changed',
      none: null,
      half: '\ufffd',
      big: String(-(2n ** 63n)),
    })
  })
})

it('a transaction that the server has no room for is TRANSACTION_TOO_LARGE, once', async () => {
  const server = await startMongo({ report: () => {} })
  try {
    await using harness = await startHarness({ url: server.url })
    const docs = harness.store.collection('docs')
    await harness.plain.db(harness.database).createCollection('docs')
    const text = 'x'.repeat(12 * 1024 * 1024)
    let bodies = 0
    const begun = harness.db.run(() =>
      harness.db.transaction.begin(async () => {
        bodies += 1
        // The server's cache has 256 MiB, and keeps what is not committed in it.
        for (let n = 0; n < 30; n += 1) await docs.insertOne({ text })
      }),
    )
    const expected = { code: 'TRANSACTION_TOO_LARGE', outcome: 'not-applied', transient: false }
    await expect(begun).rejects.toMatchObject(expected)
    expect(bodies).toBe(1)
    expect(await harness.plain.db(harness.database).collection('docs').countDocuments()).toBe(0)
  } finally {
    await server.stop()
  }
})
