import { seeded } from '@strata/testkit'
import { expect, test } from 'vitest'
import { shuffled } from './shuffle.ts'

test('a seed decides the order, and nobody is left out', () => {
  const order = shuffled(50, seeded(7))
  expect(shuffled(50, seeded(7))).toEqual(order)
  expect(shuffled(50, seeded(8))).not.toEqual(order)
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index))
})
