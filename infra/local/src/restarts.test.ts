import { expect, test } from 'vitest'
import { Restarts } from './restarts.ts'

test('five restarts a minute, each after a longer pause', () => {
  const restarts = new Restarts()
  expect([0, 1, 2, 3, 4].map(ms => restarts.take(ms))).toEqual([100, 200, 400, 800, 1600])
  expect(restarts.take(5)).toBeUndefined()
  expect(restarts.take(59_999)).toBeUndefined()
})

test('what is older than a minute no longer counts', () => {
  const restarts = new Restarts()
  for (const ms of [0, 0, 0, 0, 30_000]) restarts.take(ms)
  expect(restarts.take(60_000)).toBe(200)
})
