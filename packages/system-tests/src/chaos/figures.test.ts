import { expect, test } from 'vitest'
import type { Fault } from './fault.ts'
import { addFigures, figuresOf, printFigures } from './figures.ts'
import type { History, Row } from './history.ts'

const fault: Fault = { name: 'a-fault', about: 'Something breaks', strike: async () => {} }
const call = { row: 'sent', pid: 1, at: 0, deadlineMs: 1, bytes: 0, isNested: false, expects: [] } as const
const end = { row: 'ended', pid: 1, at: 5, ranMs: 5 } as const
const rows: Row[] = [
  { ...call, id: 'a' },
  { ...call, id: 'b' },
  { row: 'begun', id: 'a', pid: 2, at: 1, attempt: 1 },
  { row: 'begun', id: 'a', pid: 3, at: 4500, attempt: 2 },
  { ...end, id: 'a', stamp: 's' },
  { ...end, id: 'b', code: 'RESULT_LOST', outcome: 'unknown' },
]
const history: History = {
  rows,
  records: new Map(),
  outages: [],
  killed: new Map([[2, 500]]),
  explains: { call: [], nested: [] },
}

test('rounds add up, and the longest take-over stands', () => {
  const one = figuresOf(history, [{ kind: 'hang', id: 'b', text: '' }], 3)
  expect(one).toMatchObject({
    calls: 2,
    results: 1,
    codes: { RESULT_LOST: 1 },
    unknown: 1,
    struck: 3,
    takeoverMs: 4000,
  })
  const calm = figuresOf({ ...history, killed: new Map() }, [], 1)
  expect(calm.takeoverMs).toBeUndefined()
  const sum = addFigures(one, calm)
  expect(sum).toMatchObject({ rounds: 2, calls: 4, codes: { RESULT_LOST: 2 }, takeoverMs: 4000 })
  expect(sum.breaches).toMatchObject({ hang: 1, lost: 0 })
})

test('the end of a caller is no take-over', () => {
  expect(figuresOf({ ...history, killed: new Map([[1, 500]]) }, [], 1).takeoverMs).toBeUndefined()
})

test('a fault is a row of the table', () => {
  const table = printFigures(new Map([[fault, figuresOf(history, [], 1)]]))
  expect(table.split('\n')[2]).toMatch(/^\| `a-fault` \| 1 \| 1 \| 2 \| 1 \| RESULT_LOST 1 \| 1 \| (0 \| )+4000 \|$/)
})
