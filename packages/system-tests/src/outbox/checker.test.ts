import { expect, test } from 'vitest'
import { findBreaches, printBreaches } from './checker.ts'
import type { Kept, OutboxHistory, Sent } from './history.ts'

const keyed = (seq: number): Kept => ({ _id: `t${seq}.0`, transaction: `t${seq}`, job: `j${seq}`, key: 'k', seq })
const added = (...jobs: string[]): Sent[] => jobs.map(job => ({ event: 'added', job }))

const sound: OutboxHistory = {
  kept: [keyed(1), keyed(2), keyed(3)],
  sent: added('j1', 'j2', 'j3'),
  told: [
    { transaction: 't1', outcome: 'applied' },
    { transaction: 't2', outcome: 'unknown' },
    { transaction: 't9', outcome: 'not-applied' },
  ],
  runs: new Map(),
  effects: ['t1.0', 't2.0', 't3.0'],
  left: 0,
  duplicatesMax: 0,
}

const kindsOf = (change: Partial<OutboxHistory>) => findBreaches({ ...sound, ...change }).map(({ kind }) => kind)

test('all that is committed is sent, in order, once', () => expect(kindsOf({})).toEqual([]))

test('a job that is not sent is lost, and one that nobody committed is a phantom', () => {
  expect(kindsOf({ sent: added('j1', 'j2') })).toEqual(['lost'])
  expect(kindsOf({ sent: added('j1', 'j2', 'j3', 'rolled back') })).toEqual(['phantom'])
})

test('the order of a key is that of the first time each is sent', () => {
  expect(kindsOf({ sent: added('j1', 'j3', 'j2') })).toEqual(['out-of-order'])
  expect(kindsOf({ sent: added('j1', 'j2', 'j3', 'j1'), duplicatesMax: 1 })).toEqual([])
  const without = sound.kept.map(({ key: _, ...kept }) => kept)
  expect(kindsOf({ kept: without, sent: added('j3', 'j2', 'j1') })).toEqual([])
})

test('what is sent again has to be explained, added or recognised', () => {
  expect(kindsOf({ sent: added('j1', 'j2', 'j3', 'j3') })).toEqual(['doubled'])
  const known: Sent = { event: 'duplicated', job: 'j3' }
  expect(kindsOf({ sent: [...sound.sent, known] })).toEqual(['doubled'])
  expect(kindsOf({ sent: [...sound.sent, known], duplicatesMax: 1 })).toEqual([])
})

test('every push has its effect, every end is true, and nothing is left', () => {
  expect(kindsOf({ effects: ['t1.0', 't2.0'] })).toEqual(['no-effect'])
  expect(kindsOf({ effects: ['t1.0', 't2.0'], lostByRedis: new Set(['j3']) })).toEqual([])
  expect(kindsOf({ effects: ['t1.0', 't2.0'], lostByRedis: new Set(['j2']) })).toEqual(['no-effect'])
  expect(kindsOf({ effects: [...sound.effects, 't2.0'] })).toEqual(['two-effects'])
  expect(kindsOf({ told: [{ transaction: 't9', outcome: 'applied' }] })).toEqual(['false-end'])
  expect(kindsOf({ told: [{ transaction: 't1', outcome: 'not-applied' }] })).toEqual(['false-end'])
  expect(kindsOf({ left: 1 })).toEqual(['left'])
})

test('the first breaches are printed, and how many there are', () => {
  const kept = Array.from({ length: 9 }, (_, index) => keyed(index + 1))
  const effects = kept.map(({ _id }) => _id)
  const printed = printBreaches(findBreaches({ ...sound, kept, effects, told: [] }))
  expect(printed[0]).toBe('lost: t4.0 was committed and never sent')
  expect(printed.at(-1)).toBe('6 in all')
})
