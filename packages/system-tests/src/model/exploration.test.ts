import { expect, test } from 'vitest'
import { explore, type Model, type Move } from './exploration.ts'

const move = (label: string, next: number, isFault = false): Move<number> => ({ label, next, isFault })

function graph(edges: Record<number, readonly Move<number>[]>, end: number, bad?: number): Model<number> {
  return {
    start: 0,
    moves: state => edges[state] ?? [],
    key: String,
    violation: state => (state === bad ? 'is bad' : undefined),
    isEnd: state => state === end,
  }
}

test('visits each state once, however it is reached', () => {
  const diamond = { 0: [move('a', 1), move('b', 2)], 1: [move('b', 3)], 2: [move('a', 3)] }
  expect(explore(graph(diamond, 3))).toEqual({ states: 4, moves: 4, violation: undefined })
})

test('tells the shortest way to a violation', () => {
  const edges = { 0: [move('slow', 1), move('crash', 3, true)], 1: [move('slower', 3)] }
  expect(explore(graph(edges, 9, 3)).violation).toEqual({ text: 'is bad', trace: ['crash'] })
})

test('finds a state that nobody leaves', () => {
  const edges = { 0: [move('end', 2), move('crash', 1, true)] }
  expect(explore(graph(edges, 2)).violation).toMatchObject({ trace: ['crash'] })
})

test('a circle is no end, and neither is one that only a fault leaves', () => {
  const edges = { 0: [move('in', 1)], 1: [move('round', 2)], 2: [move('round', 1), move('crash', 3, true)] }
  expect(explore(graph(edges, 3)).violation).toMatchObject({ trace: [] })
})
