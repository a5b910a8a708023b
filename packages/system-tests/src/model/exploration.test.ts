import { expect, test } from 'vitest'
import { explore, type Model, type Move } from './exploration.ts'

type Kind = Move<number>['kind']

const move = (label: string, next: number, kind: Kind = 'step'): Move<number> => ({ label, next, kind })

function graph(edges: Record<number, readonly Move<number>[]>, end: number, bad?: number): Model<number> {
  return {
    start: 0,
    moves: (state, canFail) => (edges[state] ?? []).filter(({ kind }) => canFail || kind !== 'fault'),
    key: String,
    violation: state => (state === bad ? 'is bad' : undefined),
    isEnd: state => state === end,
  }
}

test('visits each state once, however it is reached', () => {
  const diamond = { 0: [move('a', 1), move('b', 2)], 1: [move('b', 3)], 2: [move('a', 3)] }
  expect(explore(graph(diamond, 3), 0)).toEqual({ states: 4, moves: 4, violation: undefined })
})

test('tells the way to a violation that takes the fewest faults', () => {
  const edges = { 0: [move('crash', 3, 'fault'), move('slow', 1)], 1: [move('slower', 3)] }
  expect(explore(graph(edges, 9, 3), 1).violation).toEqual({ text: 'is bad', faults: 0, trace: ['slow', 'slower'] })
})

test('explores what comes of as many faults as it is told, and not of more', () => {
  const edges = { 0: [move('crash', 1, 'fault')], 1: [move('crash again', 2, 'fault'), move('end', 3)] }
  const start = { ...graph(edges, 3, 2), isEnd: (state: number) => state !== 1 }
  expect(explore(start, 0).states).toBe(1)
  expect(explore(start, 1)).toMatchObject({ states: 3, violation: undefined })
  expect(explore(start, 2).violation).toMatchObject({ faults: 2, trace: ['crash', 'crash again'] })
})

test('finds a state that nobody leaves', () => {
  const edges = { 0: [move('end', 2), move('crash', 1, 'fault')] }
  expect(explore(graph(edges, 2), 1).violation).toMatchObject({ trace: ['crash'] })
})

test.each(['chance', 'fault'] as const)('a circle is no end, and neither is one that only a %s leaves', kind => {
  const edges = { 0: [move('in', 1)], 1: [move('round', 2)], 2: [move('round', 1), move('luck', 3, kind)] }
  expect(explore(graph(edges, 3), 1).violation).toMatchObject({ trace: [] })
})
