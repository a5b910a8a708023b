import { expect, test } from 'vitest'
import { findBreaches } from './checker.ts'
import type { TwoPhaseHistory } from './history.ts'

const sound: TwoPhaseHistory = {
  plans: [
    { id: 't0', from: 'a', to: 'd', amount: 10 },
    { id: 't1', from: 'b', to: 'c', amount: 900 },
  ],
  transactions: [
    { id: 't0', state: 'done' },
    { id: 't1', state: 'canceled' },
  ],
  accounts: [
    { _id: 'a', balance: 90, pendingTransactions: [] },
    { _id: 'b', balance: 100 },
    { _id: 'c', balance: 100 },
    { _id: 'd', balance: 10 },
  ],
  told: [{ id: 't0', state: 'done' }],
  sums: [300, 300],
  takenAgain: 0,
}

const kindsOf = (change: Partial<TwoPhaseHistory>) => findBreaches({ ...sound, ...change }).map(({ kind }) => kind)
const withAccount = (change: object) =>
  sound.accounts.map((each, index) => (index === 0 ? { ...each, ...change } : each))

test('what is done is there and what is canceled is not', () => expect(kindsOf({})).toEqual([]))

test('a sum that is not what was done is half, also where nothing is lost', () => {
  expect(kindsOf({ accounts: withAccount({ balance: 100 }) })).toEqual(['half'])
  expect(kindsOf({ transactions: [{ id: 't0', state: 'canceled' }], told: [] })).toEqual(['half', 'half'])
  expect(kindsOf({ accounts: withAccount({ balance: -10 }) })).toEqual(['half', 'negative'])
})

test('every transaction ends, and leaves no entry', () => {
  const open = { id: 't1', state: 'canceling' } as const
  expect(kindsOf({ transactions: [{ id: 't0', state: 'done' }, open] })).toEqual(['open'])
  expect(kindsOf({ accounts: withAccount({ pendingTransactions: [{ id: 't0' }] }) })).toEqual(['entry-left'])
})

test('what was told stays so, every sum is whole, and recovery has an end', () => {
  expect(kindsOf({ told: [{ id: 't1', state: 'done' }] })).toEqual(['false-end'])
  expect(kindsOf({ sums: [300, 290] })).toEqual(['unseen-sum'])
  expect(kindsOf({ takenAgain: 1 })).toEqual(['again'])
})
