import { expect, test } from 'vitest'
import { addFigures, figuresOf, printFigures } from './figures.ts'
import type { InboxHistory } from './history.ts'

const one = { message: 'm1', stamp: 'a' }
const history: InboxHistory = {
  messages: ['m1'],
  effects: [one],
  told: [one, one, { message: 'm1', code: 'CALL_TIMEOUT' }],
  deliveries: 3,
  rows: [one],
  runsAfter: 1,
  open: 0,
  held: 0,
}

test('figures of rounds are added up and printed as a table', () => {
  const figures = figuresOf(history, [{ kind: 'unanswered', text: 'one' }])
  expect(figures).toMatchObject({ rounds: 1, messages: 1, deliveries: 3, effects: 1, stored: 1, runsAfter: 1 })
  const printed = printFigures(new Map([['kill', addFigures(figures, figuresOf(history, []))]]))
  expect(printed.split('\n').at(-1)).toBe('| `kill` | 2 | 2 | 6 | 2 | 2 | 2 | 0 | 0 | 1 | 0 | 0 | 0 |')
})
