import { expect, test } from 'vitest'
import type { Contest, Contestant } from './benchmark.ts'
import { duel, rowOf } from './duel.ts'
import { median } from './median.ts'

const contest = (ours: Contestant, reference: Contestant, rest: Partial<Contest> = {}): Contest => {
  return { id: 'a.b', what: 'something', unit: 'µs', better: 'lower', ours, reference, ...rest }
}

test('the sides take turns, and each begins as often as the other', async () => {
  const order: string[] = []
  const side = (name: string, value: number) => async () => {
    order.push(name)
    return value
  }
  const { ratio } = await duel(contest(side('o', 21), side('r', 20)), { seconds: 0.08, round: 0 })
  expect(order.join('')).toBe('orroorro')
  expect(ratio).toBe(1.05)
})

test('a burst of other work in some pairs does not move the ratio', async () => {
  let turns = 0
  const disturbed = async () => (turns++ === 1 ? 500 : 10)
  expect(
    (
      await duel(
        contest(disturbed, async () => 10),
        { seconds: 0.1, round: 0 },
      )
    ).ratio,
  ).toBe(1)
})

test('a row has the median and the extremes of its rounds, and tells whether the goal is met', () => {
  const rounds = [1.01, 1.2, 1.04].map(ratio => ({ ours: ratio * 100, reference: 100, ratio }))
  const side = async () => 1
  expect(rowOf(contest(side, side, { goal: 1.05 }), rounds)).toEqual({
    id: 'a.b',
    what: 'something',
    unit: 'µs',
    better: 'lower',
    ours: 104,
    reference: 100,
    ratio: 1.04,
    ratioMin: 1.01,
    ratioMax: 1.2,
    goal: 1.05,
    met: true,
  })
  expect(rowOf(contest(side, side, { goal: 1.05, better: 'higher' }), rounds).met).toBe(false)
  expect(rowOf(contest(side, side), rounds)).toMatchObject({ goal: null, met: null })
})

test('the median of an even count is between the middles', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([7])).toBe(7)
})
