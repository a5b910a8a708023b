import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findJsonFault } from './json.ts'

const json = fc.jsonValue({ noUnicodeString: false, maxDepth: 4 })

/** JSON has one zero. */
const oneZero = (value: unknown): unknown => {
  if (value === 0) return 0
  if (Array.isArray(value)) return value.map(oneZero)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, oneZero(part)]))
}

test('what passes arrives deeply equal', () => {
  fc.assert(
    fc.property(json, value => {
      expect(findJsonFault(value)).toBeUndefined()
      expect(JSON.parse(JSON.stringify(value))).toEqual(oneZero(value))
    }),
  )
})

const unfit: [unknown, string][] = [
  [1n, 'bigint'],
  [Number.NaN, 'NaN'],
  [Number.NEGATIVE_INFINITY, '-Infinity'],
  [() => 1, 'function'],
  [Symbol('s'), 'symbol'],
  [new Date(0), 'a Date'],
  [new Map(), 'a Map'],
  [new Error('e'), 'a Error'],
  [Buffer.from('b'), 'a Buffer'],
  [{ toJSON: () => 1 }, 'an object with toJSON'],
  [{ [Symbol('k')]: 1 }, 'an object with symbol keys'],
]

test('whatever JSON would change is found with its path, wherever it is', () => {
  const steps = fc.array(fc.oneof(fc.constantFrom('a', 'b'), fc.nat(3)), { maxLength: 5 })
  fc.assert(
    fc.property(steps, fc.constantFrom(...unfit), json, (path, [value, got], beside) => {
      const planted = path.reduceRight<unknown>(
        (inner, step) =>
          typeof step === 'number' ? [...Array(step).fill(beside), inner] : { zero: beside, [step]: inner },
        value,
      )
      const printed = path.reduce<string>(
        (text, step) => text + (typeof step === 'number' ? `[${step}]` : `.${step}`),
        '$',
      )
      expect(findJsonFault(planted)).toEqual({ path: printed, got })
    }),
  )
})

test('a hole and an undefined element are found, an undefined property is not', () => {
  expect(findJsonFault([1, undefined])).toEqual({ path: '$[1]', got: 'undefined' })
  // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested
  expect(findJsonFault([, 1])).toEqual({ path: '$[0]', got: 'undefined' })
  expect(findJsonFault({ a: undefined })).toBeUndefined()
  expect(findJsonFault(undefined)).toBeUndefined()
})

test('a circle and a tower are found, a shared part is not', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = { circle }
  expect(findJsonFault(circle)).toEqual({ path: '$.self.circle', got: 'a circular reference' })
  const shared = { n: 1 }
  expect(findJsonFault([shared, shared])).toBeUndefined()
  let tower: unknown = 1
  for (let depth = 0; depth < 10_000; depth += 1) tower = [tower]
  expect(findJsonFault(tower)?.got).toBe('more than 200 nested values')
})
