import { ClientSession } from 'mongodb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Doc {
  _id: string
  text?: string
  more?: string
}

const mib = (count: number) => 'x'.repeat(count * 1024 * 1024)

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('bodies that do what they should not, on %s', key => {
  let harness: Harness
  beforeAll(async () => {
    harness = await startHarness({ url: inject(key), pool: { max: 1 } })
    await harness.plain.db(harness.database).createCollection('docs')
  })
  afterAll(() => harness[Symbol.asyncDispose]())

  const docs = () => harness.store.collection<Doc>('docs')
  const outside = () => harness.plain.db(harness.database).collection<Doc>('docs')
  const begin = <T>(body: () => Promise<T>) => harness.db.run(() => harness.db.transaction.begin(body))
  const ids = async () => (await outside().find().toArray()).map(({ _id }) => _id)

  beforeEach(async () => {
    await outside().deleteMany({})
  })

  afterEach(() => {
    const busy = harness.db.pools().filter(({ inUse, waiting }) => inUse + waiting > 0)
    expect(busy).toEqual([])
  })

  describe('a document above 16 MiB', () => {
    const writes: [string, () => Promise<unknown>][] = [
      ['that the driver cannot encode', () => docs().insertOne({ _id: 'b', text: mib(17) })],
      ['that is far larger than a message', () => docs().insertOne({ _id: 'b', text: mib(60) })],
      ['that the server refuses', () => docs().insertOne({ _id: 'b', text: mib(16.4) })],
      ['in an update', () => docs().updateOne({ _id: 'a' }, { $set: { text: mib(16.4) } })],
      ['among several', () => docs().insertMany([{ _id: 'b' }, { _id: 'c', text: mib(17) }])],
      [
        'that grew',
        async () => {
          await docs().updateOne({ _id: 'a' }, { $set: { text: mib(10) } })
          await docs().updateOne({ _id: 'a' }, { $set: { more: mib(10) } })
        },
      ],
      [
        'that grew in a bulk write',
        async () => {
          await docs().updateOne({ _id: 'a' }, { $set: { text: mib(10) } })
          await docs().bulkWrite([{ updateOne: { filter: { _id: 'a' }, update: { $set: { more: mib(10) } } } }])
        },
      ],
    ]
    it.each(writes)('%s is DOCUMENT_TOO_LARGE, and nothing is written', async (_, write) => {
      const begun = begin(async () => {
        await docs().insertOne({ _id: 'a' })
        await write()
      })
      await expect(begun).rejects.toMatchObject({
        code: 'DOCUMENT_TOO_LARGE',
        outcome: 'not-applied',
        transient: false,
      })
      expect(await ids()).toEqual([])
    })

    it('refused by the server and caught is ROLLBACK_ONLY, because the server has given the transaction up', async () => {
      const begun = begin(async () => {
        await docs().insertOne({ _id: 'a' })
        await docs()
          .insertOne({ _id: 'b', text: mib(16.4) })
          .catch(() => {})
      })
      await expect(begun).rejects.toMatchObject({ code: 'ROLLBACK_ONLY', cause: { code: 'DOCUMENT_TOO_LARGE' } })
      expect(await ids()).toEqual([])
    })
  })

  it('more than 16 MiB in all, in documents that each fit, is committed', async () => {
    await begin(async () => {
      for (const _id of ['a', 'b']) await docs().insertOne({ _id, text: mib(9) })
    })
    expect(await ids()).toEqual(['a', 'b'])
  })

  it('what BSON cannot hold is refused before it is sent', async () => {
    const circle: { _id: string; self?: unknown } = { _id: 'b' }
    circle.self = circle
    const begun = begin(async () => {
      await docs().insertOne({ _id: 'a' })
      await docs().insertOne(circle)
    })
    await expect(begun).rejects.toThrow('circular')
    expect(await ids()).toEqual([])
  })

  describe('a session of the driver', () => {
    it.each(['commitTransaction', 'abortTransaction', 'endSession', 'startTransaction'] as const)(
      'of ours, reached behind our back for %s, ends typed and never as committed',
      async verb => {
        const started = vi.spyOn(ClientSession.prototype, 'startTransaction')
        const begun = begin(async () => {
          const session = started.mock.contexts.at(-1) as ClientSession
          await docs().insertOne({ _id: 'a' })
          if (verb === 'startTransaction') await session.abortTransaction()
          await session[verb]()
          await docs().insertOne({ _id: 'b' })
        })
        await expect(begun).rejects.toMatchObject({ code: 'TRANSACTION_ENDED', outcome: 'unknown' })
        started.mockRestore()
      },
    )

    it('of another client is refused, also with a transaction begun on it by hand', async () => {
      await using session = harness.plain.startSession()
      session.startTransaction()
      const options: object = { session }
      const begun = begin(async () => {
        await docs().insertOne({ _id: 'a' })
        await docs().insertOne({ _id: 'b' }, options)
      })
      await expect(begun).rejects.toMatchObject({ code: 'SESSION_REFUSED', outcome: 'not-applied' })
      expect(await ids()).toEqual([])
    })

    it('killed on the server is a reason to run the body again', async () => {
      const started = vi.spyOn(ClientSession.prototype, 'startTransaction')
      let bodies = 0
      await begin(async () => {
        bodies += 1
        await docs().insertOne({ _id: `a${bodies}` })
        const { id } = started.mock.contexts.at(-1) as ClientSession
        if (bodies === 1) await harness.plain.db('admin').command({ killSessions: [id] })
        await docs().insertOne({ _id: 'b' })
      })
      started.mockRestore()
      expect([bodies, (await ids()).sort()]).toEqual([2, ['a2', 'b']])
    })
  })
})
