import { expect, test } from 'vitest'
import { paceOf, percentile } from './pace.ts'

test('a percentile is one of the numbers, and no more than its share lies above it', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(percentile(hundred, 0.99)).toBe(99)
  expect(percentile(hundred, 1)).toBe(100)
  expect(percentile([3], 0.99)).toBe(3)
})

test('every caller works at least once, and all that they did counts', async () => {
  const done: string[] = []
  const callers = ['a', 'b'].map(caller => async () => void done.push(caller))
  const { perSecond, p99Ms } = await paceOf(callers, 0)
  expect(done).toEqual(['a', 'b'])
  expect(perSecond).toBeGreaterThan(0)
  expect(p99Ms).toBeGreaterThanOrEqual(0)
})
