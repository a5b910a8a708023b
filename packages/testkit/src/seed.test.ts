import { expect, test } from 'vitest'
import { seeded, seedFrom } from './seed.ts'

test('the same seed makes the same numbers', () => {
  const one = seeded(7)
  const other = seeded(7)
  const numbers = Array.from({ length: 100 }, () => one.integer(1, 6))
  expect(Array.from({ length: 100 }, () => other.integer(1, 6))).toEqual(numbers)
  expect([...new Set(numbers)].sort()).toEqual([1, 2, 3, 4, 5, 6])
  expect(Array.from({ length: 100 }, seeded(8).next)).not.toEqual(Array.from({ length: 100 }, seeded(7).next))
})

test('a flag goes before the environment, and either is said', () => {
  const lines: string[] = []
  const report = (line: string): void => {
    lines.push(line)
  }
  expect(seedFrom({ flag: '5', env: { STRATA_SEED: '6' }, report }).value).toBe(5)
  expect(seedFrom({ env: { STRATA_SEED: '6' }, report }).value).toBe(6)
  const fresh = seedFrom({ env: {}, report }).value
  expect(lines).toEqual([5, 6, fresh].map(value => `seed ${value} (STRATA_SEED=${value} runs it again)`))
})

test.each(['1.5', '-1', 'x', '4294967296'])('%s is no seed', flag => {
  expect(() => seedFrom({ flag, report: () => {} })).toThrow(expect.objectContaining({ code: 'SEED_INVALID' }))
})
