import { expect, test } from 'vitest'
import { transactionFaults } from './faults.ts'
import { addFigures, figuresOf, printFigures } from './figures.ts'
import { type History, newStory } from './history.ts'

const plan = { deadlineMs: 1, isHurried: false, calls: 0, isShared: false, isRefused: false }
const story = (id: string, end: { outcome: 'applied' | 'not-applied' | 'unknown'; code: string | undefined }) => ({
  ...newStory({ ...plan, id }),
  bodies: 2,
  ended: { ...end, ranMs: 1 },
})

const history: History = {
  stories: [
    story('a', { outcome: 'applied', code: undefined }),
    story('b', { outcome: 'unknown', code: 'COMMIT_UNKNOWN' }),
    story('c', { outcome: 'unknown', code: 'COMMIT_UNKNOWN' }),
    story('d', { outcome: 'not-applied', code: 'LOCK_TIMEOUT' }),
  ],
  found: new Map(['a', 'b'].map(id => [id, { counter: 1, documents: 1 }])),
  sharedCounter: 0,
  held: [],
  explains: { any: [], hurried: [] },
}

test('rounds add up, doubts are counted, and so is how many of them were committed', () => {
  const one = figuresOf(history, [{ kind: 'held', id: undefined, text: '' }], 3)
  expect(one).toMatchObject({ transactions: 4, committed: 1, bodies: 8, unknown: 2, unknownThere: 1, struck: 3 })
  const sum = addFigures(one, figuresOf(history, [], 1))
  expect(sum).toMatchObject({ rounds: 2, struck: 4, unknown: 4, codes: { COMMIT_UNKNOWN: 4, LOCK_TIMEOUT: 2 } })
  expect(sum.breaches).toMatchObject({ held: 1, hang: 0 })
})

test('a fault is a row of the table', () => {
  const [fault] = transactionFaults
  if (!fault) throw new Error('There is no fault')
  const [, , row] = printFigures(new Map([[fault, figuresOf(history, [], 1)]])).split('\n')
  expect(row).toMatch(
    /^\| `commit-rolled-back` \| 1 \| 1 \| 4 \| 8 \| 1 \| COMMIT_UNKNOWN 2, LOCK_TIMEOUT 1 \| 2, 1 \|( 0 \|)+$/,
  )
})
