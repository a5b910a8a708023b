import { expect, test } from 'vitest'
import { findBreaches, printBreaches } from './checker.ts'
import type { InboxHistory, Stamped } from './history.ts'

const one: Stamped = { message: 'm1', stamp: 'a' }
const two: Stamped = { message: 'm2', stamp: 'b' }

const sound: InboxHistory = {
  messages: ['m1', 'm2'],
  effects: [one, two],
  told: [one, one, two],
  deliveries: 3,
  rows: [one, two],
  runsAfter: 2,
  open: 0,
  held: 0,
}

const kindsOf = (change: Partial<InboxHistory>) => findBreaches({ ...sound, ...change }).map(({ kind }) => kind)

test('every message with one effect, and every delivery told of that one', () => expect(kindsOf({})).toEqual([]))

test('a message without an effect is lost, and what was told of it is wrong', () => {
  expect(kindsOf({ effects: [one] })).toEqual(['lost', 'wrong-result', 'wrong-result'])
})

test('a second effect of a message is told, whichever of the two the deliveries were told of', () => {
  expect(kindsOf({ effects: [one, two, { message: 'm1', stamp: 'c' }] })).toEqual(['doubled'])
})

test('each delivery has to end, with a result', () => {
  expect(kindsOf({ told: [one, two] })).toEqual(['unanswered'])
  expect(kindsOf({ told: [one, two, { message: 'm1', code: 'CALL_TIMEOUT' }] })).toEqual(['unanswered'])
})

test('a result of a run that was rolled back, or of another message, is wrong', () => {
  expect(kindsOf({ told: [one, { message: 'm1', stamp: 'rolled back' }, two] })).toEqual(['wrong-result'])
  expect(kindsOf({ told: [one, { message: 'm1', stamp: 'b' }, two] })).toEqual(['wrong-result'])
  expect(kindsOf({ rows: [one, { message: 'm2', stamp: 'rolled back' }] })).toEqual(['wrong-result'])
})

test('a claim that is left behind is told: without a result, without a row, of nobody, or in an open transaction', () => {
  expect(kindsOf({ rows: [one, { message: 'm2' }] })).toEqual(['claimed'])
  expect(kindsOf({ rows: [one] })).toEqual(['claimed'])
  expect(kindsOf({ rows: [one, two, { message: 'm3' }] })).toEqual(['claimed', 'claimed'])
  expect(kindsOf({ open: 1 })).toEqual(['claimed'])
})

test('a slot that a killed worker took with it is told', () => expect(kindsOf({ held: 1 })).toEqual(['held']))

test('the first breaches are printed, and how many there are', () => {
  const messages = Array.from({ length: 9 }, (_, index) => `m${index}`)
  const printed = printBreaches(findBreaches({ ...sound, messages, effects: [], told: [], deliveries: 0, rows: [] }))
  expect(printed[0]).toBe('lost: m0 has had no effect')
  expect(printed.at(-1)).toBe('18 in all')
})
