import { expect, test } from 'vitest'
import { figuresOf } from './figures.ts'
import type { OutboxHistory } from './history.ts'

const history: OutboxHistory = {
  kept: [{ _id: 't1.0', transaction: 't1', job: 'j1', seq: 0 }],
  sent: [
    { event: 'added', job: 'j1' },
    { event: 'duplicated', job: 'j1' },
  ],
  told: [],
  runs: new Map([['t1.0', 3]]),
  lostByRedis: new Set(['j1']),
  effects: ['t1.0'],
  left: 0,
  duplicatesMax: 1,
}

test('a round is told of in numbers', () => {
  const figures = figuresOf(history, [{ kind: 'lost', text: 'one' }], 1)
  expect(figures).toMatchObject({
    rounds: 1,
    kills: 1,
    'pushes committed': 1,
    sent: 1,
    'sent again': 1,
    'run again': 2,
  })
  expect(figures).toMatchObject({ 'lost by Redis': 1, lost: 1, left: 0 })
})
