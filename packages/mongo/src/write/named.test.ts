import { Double, Int32, Long, ObjectId } from 'mongodb'
import { expect, it } from 'vitest'
import { idText, namedBy, namedByBatches } from './named.ts'

const ids = (method: string, ...args: unknown[]) => namedBy({ method, args })

it('reads the _ids that a filter fixes, and no others', () => {
  expect(ids('updateOne', { _id: 1, n: { $gt: 3 } })).toEqual({ ids: ['n:1'], isComplete: true })
  expect(ids('deleteMany', { _id: { $in: ['a', 2] } })).toEqual({ ids: ['s:a', 'n:2'], isComplete: true })
  expect(ids('updateOne', { _id: { $eq: 'a' } })).toEqual({ ids: ['s:a'], isComplete: true })
  for (const filter of [undefined, {}, { name: 'a' }, { _id: { $gt: 1 } }, { _id: /a/ }, { _id: { $in: [/a/] } }]) {
    expect(ids('updateMany', filter)).toEqual({ ids: [], isComplete: false })
  }
})

it('reads the _ids of what is inserted, and of each operation of a bulk write', () => {
  expect(ids('insertOne', { n: 1 })).toEqual({ ids: [], isComplete: false })
  expect(ids('insertMany', [{ _id: 1 }, { n: 1 }])).toEqual({ ids: ['n:1'], isComplete: false })
  const operations = [{ insertOne: { document: { _id: 1 } } }, { updateOne: { filter: { _id: 2 }, update: {} } }]
  expect(ids('bulkWrite', operations)).toEqual({ ids: ['n:1', 'n:2'], isComplete: true })
  expect(namedByBatches([{ operations: [{ _id: 1 }] }, { operations: [{ q: { _id: 2 }, u: {} }] }])).toEqual({
    ids: ['n:1', 'n:2'],
    isComplete: true,
  })
})

it('gives equal _ids one text, different ones different texts, and long ones a short one', () => {
  const hex = '64b7f3f3f3f3f3f3f3f3f3f3'
  expect(new Set([1, 1n, new Int32(1), new Double(1), Long.fromNumber(1)].map(idText))).toEqual(new Set(['n:1']))
  expect(idText(new ObjectId(hex))).not.toBe(idText(hex))
  expect(idText('1')).not.toBe(idText(1))
  expect(idText({ a: 1, b: 2 })).not.toBe(idText({ b: 2, a: 1 }))
  expect(idText({ a: 1 })).toBe(idText({ a: 1 }))
  expect(idText('a'.repeat(1000)).length).toBeLessThan(64)
  expect(idText('a'.repeat(1000))).not.toBe(idText('a'.repeat(1001)))
})
