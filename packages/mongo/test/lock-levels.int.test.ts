import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Thing {
  _id: number | string
  n?: number
}

let harness: Harness
const reports: unknown[] = []
beforeAll(async () => {
  harness = await startHarness({
    url: inject('mongoUrl'),
    context: { report: (error: unknown) => void reports.push(error) },
  })
  const database = harness.plain.db(harness.database)
  await Promise.all(['things', 'log', 'leaves'].map(name => database.createCollection(name)))
})
afterAll(() => harness[Symbol.asyncDispose]())
beforeEach(() => {
  reports.length = 0
})

const collection = (name: string) => harness.store.collection<Thing>(name)
const levelsOf = (name: string) =>
  harness.db.lockLevels().find(({ collection: each }) => each === `${harness.database}.${name}`)

it('reports a collection that is written below a transaction that holds it, before anything hangs', async () => {
  const { db } = harness
  await harness.plain
    .db(harness.database)
    .collection<Thing>('things')
    .insertMany([{ _id: 1 }, { _id: 2 }])
  const write = (_id: number) => collection('things').updateOne({ _id }, { $inc: { n: 1 } })
  const twice = () =>
    db.run(() =>
      db.transaction.begin(async () => {
        await write(1)
        // Another document, so that nothing is blocked here; in production it may be the same.
        await db.switchDbIsolate(() => write(2))
      }),
    )
  await twice()
  await twice()
  expect(reports).toMatchObject([
    { code: 'LOCK_ORDER', details: { collection: `${harness.database}.things`, held: 0, written: 1 } },
  ])
  expect(levelsOf('things')).toMatchObject({ held: [0], written: [0, 1], isOrdered: false })
})

it('says nothing of new documents with ids made for them, nor of what is held by nobody who waits', async () => {
  const { db } = harness
  const insert = () => harness.store.collection('log').insertOne({ n: 1 })
  await db.run(() =>
    db.transaction.begin(async () => {
      await insert()
      await db.switchDbIsolate(insert)
      await db.switchDbIsolate(() => db.transaction.begin(() => collection('leaves').insertOne({ _id: 'a' })))
    }),
  )
  await db.run(() => db.transaction.begin(() => collection('leaves').updateOne({ _id: 'a' }, { $set: { n: 1 } })))
  expect(reports).toEqual([])
  expect(levelsOf('log')).toMatchObject({ held: [0], written: [], isOrdered: true })
  expect(levelsOf('leaves')).toMatchObject({ held: [], written: [0, 1], isOrdered: true })
})
