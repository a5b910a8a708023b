import { expect, test } from 'vitest'
import { figuresOf } from './figures.ts'
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

test('a round is told of in numbers', () => {
  const figures = figuresOf(history, [{ kind: 'unanswered', text: 'one' }])
  expect(figures).toMatchObject({
    rounds: 1,
    messages: 1,
    deliveries: 3,
    effects: 1,
    'told again': 1,
    'run afterwards': 1,
  })
  expect(figures).toMatchObject({ lost: 0, unanswered: 1 })
})
