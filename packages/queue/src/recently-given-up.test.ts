import { expect, test } from 'vitest'
import type { GivenUp } from './given-up.ts'
import { RecentlyGivenUp } from './recently-given-up.ts'

test('a job that arrives after it was given up is known, by its call or by its own id', () => {
  const recent = new RecentlyGivenUp()
  const givenUp: GivenUp = { callId: 'c', job: { lane: 'work~1', id: '7' }, at: 5 }
  recent.add(givenUp)
  const named = (...names: string[]) => ({ names, isOf: (given: GivenUp) => given === givenUp })
  expect(recent.has(named('c', 'work~1 8'))).toBe(true)
  expect(recent.has(named('other', 'work~1 7'))).toBe(true)
  expect(recent.has(named('other', 'work~2 7'))).toBe(false)
  // Named alike, and another run: an id may be used again.
  expect(recent.has({ names: ['work~1 7'], isOf: () => false })).toBe(false)
})
