import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readWrites, Writes } from './writes.ts'

const id = fc.string({ maxLength: 60 })
const documents = fc.record({
  collection: fc.constantFrom('a', 'b', 'c'),
  ids: fc.array(id, { maxLength: 60 }),
  isComplete: fc.boolean(),
})

const collect = (all: readonly { collection: string; ids: string[]; isComplete: boolean }[]) => {
  const writes = new Writes()
  for (const each of all) writes.add(each)
  return writes
}

test('a document that was written is found', () => {
  fc.assert(
    fc.property(fc.array(documents, { maxLength: 10 }), all => {
      const writes = collect(all)
      for (const { collection, ids } of all) {
        for (const each of ids) expect(writes.match({ collection, ids: [each], isComplete: true })).toBe('certain')
      }
    }),
  )
})

test('one that was not is found only where something is left open', () => {
  const others = fc.array(documents, { maxLength: 10 })
  fc.assert(
    fc.property(others, fc.constantFrom('a', 'b', 'c', 'd'), (all, collection) => {
      const of = all.filter(each => each.collection === collection)
      const open = of.some(({ isComplete }) => !isComplete) ? 'possible' : undefined
      const writes = collect(all)
      // Longer than any id that is generated.
      expect(writes.match({ collection, ids: ['x'.repeat(61)], isComplete: true })).toBe(open)
      expect(writes.match({ collection, ids: [], isComplete: false })).toBe(of.length > 0 ? 'possible' : undefined)
    }),
  )
})

test('what travels is bounded, is read again as it was, and never claims to be complete when it is not', () => {
  fc.assert(
    fc.property(fc.array(documents, { maxLength: 10 }), all => {
      const sent = collect(all).sent()
      expect(sent.reduce((sum, { ids }) => sum + ids.length, 0)).toBeLessThanOrEqual(32)
      for (const { collection, ids, isComplete } of sent) {
        const of = all.filter(each => each.collection === collection)
        const written = new Set(of.flatMap(each => each.ids))
        expect(isComplete).toBe(ids.length === written.size && of.every(each => each.isComplete))
      }
      const travelled = [{ transaction: 't', name: 'n', level: 1, collections: sent }]
      expect(readWrites(JSON.parse(JSON.stringify(travelled)))).toEqual(travelled)
    }),
  )
})

test('it stays finite: beyond a thousand documents it is not complete', () => {
  const writes = new Writes()
  for (let n = 0; n < 2000; n += 1) writes.add({ collection: 'a', ids: [`${n}`], isComplete: true })
  expect(writes.match({ collection: 'a', ids: ['0'], isComplete: true })).toBe('certain')
  expect(writes.match({ collection: 'a', ids: ['1999'], isComplete: true })).toBe('possible')
})

test.each([
  ['no list', {}],
  ['too many transactions', Array(17).fill({ transaction: 't', level: 0, collections: [] })],
  ['no level', [{ transaction: 't', collections: [] }]],
  ['an endless name', [{ transaction: 't', name: 'x'.repeat(1000), level: 0, collections: [] }]],
  [
    'too many ids',
    [{ transaction: 't', level: 0, collections: [{ collection: 'a', ids: Array(33).fill('i'), isComplete: true }] }],
  ],
  [
    'an id that is none',
    [{ transaction: 't', level: 0, collections: [{ collection: 'a', ids: [1], isComplete: true }] }],
  ],
])('%s is not taken over from a stranger', (_, found) => {
  expect(readWrites(found)).toBeUndefined()
})
