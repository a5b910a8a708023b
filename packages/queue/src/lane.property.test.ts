import fc from 'fast-check'
import { expect, test } from 'vitest'
import { callLane, fetcherSlots, isQueueName, parseCallLane, pushLane, stopOrder } from './lane.ts'

const queue = fc.string({ minLength: 1, maxLength: 20 }).filter(isQueueName)
const level = fc.integer({ min: 1, max: 64 })

test('the name of a call lane is read back, and no queue can be taken for one', () => {
  fc.assert(
    fc.property(queue, level, (name, at) => {
      const lane = callLane(name, at, true)
      expect(parseCallLane(lane.name)).toEqual(lane)
      expect(parseCallLane(pushLane(name, true).name)).toBeUndefined()
    }),
  )
  for (const name of ['', '~1', 'q~', 'q~0', 'q~01', 'q~1.5', 'q~-1', 'q~x', 'q'])
    expect(parseCallLane(name)).toBeUndefined()
})

test('without isolation every level is in one lane', () => {
  expect(callLane('q', 3, false)).toEqual(pushLane('q', false))
})

test('fetchers share the slots of a lane exactly, four at most', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), slots => {
      const shares = fetcherSlots(slots)
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(slots)
      expect(shares).toHaveLength(Math.min(slots, 4))
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
    }),
  )
})

test('pushes close first, then calls from shallow to deep', () => {
  const open = fc.array(
    fc.oneof(
      queue.map(name => pushLane(name, true)),
      fc.tuple(queue, level).map(([name, at]) => callLane(name, at, true)),
    ),
  )
  fc.assert(
    fc.property(open, lanes => {
      const groups = stopOrder(lanes.map(lane => ({ lane })))
      const ranks = groups.map(group => group.map(({ lane }) => (lane.kind === 'push' ? 0 : lane.level)))
      for (const rank of ranks) expect(new Set(rank).size).toBe(1)
      const order = ranks.map(([rank]) => rank ?? -1)
      expect(order).toEqual([...new Set(order)].sort((a, b) => a - b))
      expect(groups.flat()).toHaveLength(lanes.length)
    }),
  )
})
