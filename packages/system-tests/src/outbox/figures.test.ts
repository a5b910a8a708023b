import { expect, test } from 'vitest'
import { addFigures, figuresOf, printFigures } from './figures.ts'
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

test('figures of rounds are added up and printed as a table', () => {
  const one = figuresOf(history, [{ kind: 'lost', text: 'one' }], 1)
  expect(one).toMatchObject({ rounds: 1, strikes: 1, committed: 1, sent: 1, duplicates: 1, runsAgain: 2 })
  const printed = printFigures(new Map([['kill', addFigures(one, figuresOf(history, [], 2))]]))
  expect(printed.split('\n').at(-1)).toBe('| `kill` | 2 | 3 | 2 | 2 | 2 | 4 | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |')
})
