import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonText, readJson } from './json-text.ts'
import { rowId } from './row-id.ts'

const bytesMax = 1_000_000

test('what is JSON is written as it is', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), value => {
      expect(jsonText(value, bytesMax)).toEqual({ text: JSON.stringify(value) })
    }),
  )
})

test('what would come back as something else, or not at all, is told, whatever it is', () => {
  fc.assert(
    fc.property(fc.anything({ withDate: true, withMap: true, withBigInt: true, withSparseArray: true }), value => {
      const written = jsonText(value, bytesMax)
      if (written.fault === undefined) expect(JSON.stringify(readJson(written.text)?.value)).toBe(JSON.stringify(value))
    }),
  )
})

test.for([
  ['a date deep inside', { a: [{ b: new Date(0) }] }, 'is no plain object at b'],
  ['a class', new (class Money {})(), 'is no plain object'],
  ['an object with toJSON', { toJSON: () => 1 }, 'is no plain object'],
  ['infinity', [Number.POSITIVE_INFINITY], 'is Infinity at 0'],
  ['nothing in a list', [undefined], 'is undefined at 0'],
] as const)('%s is a fault that names the place', ([, value, fault]) => {
  expect(jsonText(value, bytesMax)).toEqual({ fault })
})

test('a property that is undefined is left out; a text is measured in bytes', () => {
  expect(jsonText({ a: undefined, b: 1 }, bytesMax)).toEqual({ text: '{"b":1}' })
  expect(jsonText('\u00e4', 4)).toEqual({ text: '"\u00e4"' })
  expect(jsonText('\u00e4', 3)).toEqual({ fault: 'has 4 bytes of JSON, at most 3 are kept' })
})

test('two names have one id each, however they are put together', () => {
  const name = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom(' ', '%20', 'a b', 'a', 'b c'))
  fc.assert(
    fc.property(name, name, name, name, (scope, key, otherScope, otherKey) => {
      const isSame = scope === otherScope && key === otherKey
      expect(rowId(scope, key) === rowId(otherScope, otherKey)).toBe(isSame)
    }),
  )
})
