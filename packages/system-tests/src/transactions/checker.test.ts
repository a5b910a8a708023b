import { expect, test } from 'vitest'
import { findBreaches, printBreaches } from './checker.ts'
import { type Found, type History, type HookName, newStory, readError, type Story } from './history.ts'
import type { TransactionPlan } from './plan.ts'

const plan: TransactionPlan = {
  id: 'a',
  deadlineMs: 1000,
  isHurried: false,
  calls: 1,
  isShared: false,
  isRefused: false,
}
const there: Found = { counter: 1, documents: 1 }
const absent: Found = { counter: 0, documents: 0 }

const explaining = (...any: string[]) => ({ any, hurried: ['HURRIED'] })

const base: Story = { ...newStory(plan), bodies: 1, jobs: [['stamp']], results: ['stamp'] }
const committed: Story = {
  ...base,
  ended: { outcome: 'applied', code: undefined, ranMs: 10 },
  hooks: ['afterCommit'],
}
const failed = (code: string, outcome: 'not-applied' | 'unknown', hooks: HookName[] = ['afterRollback']): Story => ({
  ...base,
  ended: { outcome, code, ranMs: 10 },
  hooks,
})

function kindsOf(story: Story, found: Found, history: Partial<History> = {}): string[] {
  const whole = { sharedCounter: 0, held: [], explains: explaining('COMMIT_UNKNOWN', 'RETRIES_EXHAUSTED'), ...history }
  return findBreaches({ ...whole, stories: [story], found: new Map([['a', found]]) }).map(({ kind }) => kind)
}

test('a commit, a rollback and a doubt that tell the truth are sound', () => {
  expect(kindsOf(committed, there)).toEqual([])
  expect(kindsOf(failed('RETRIES_EXHAUSTED', 'not-applied'), absent)).toEqual([])
  expect(kindsOf(failed('COMMIT_UNKNOWN', 'unknown', []), absent)).toEqual([])
  expect(kindsOf(failed('COMMIT_UNKNOWN', 'unknown', []), there)).toEqual([])
})

test('a transaction that never ends, or long after its deadline, hangs', () => {
  expect(kindsOf(base, absent)).toEqual(['hang'])
  const late = { outcome: 'applied', code: undefined } as const
  expect(kindsOf({ ...committed, ended: { ...late, ranMs: 31_001 } }, there)).toEqual(['hang'])
  expect(kindsOf({ ...committed, ended: { ...late, ranMs: 30_999 } }, there)).toEqual([])
})

test('committed and not there is false, and so is its hook', () => {
  expect(kindsOf(committed, absent)).toEqual(['false-applied', 'false-hook'])
})

test('not-applied and there is false, and so is its hook', () => {
  expect(kindsOf(failed('RETRIES_EXHAUSTED', 'not-applied'), there)).toEqual(['false-not-applied', 'false-hook'])
})

test.each([
  ['doubled', { counter: 2, documents: 2 }],
  ['doubled', { counter: 1, documents: 2 }],
  ['torn', { counter: 1, documents: 0 }],
  ['torn', { counter: 0, documents: 1 }],
])('it is %s with %o', (kind, found) => {
  expect(kindsOf(committed, found)).toEqual([kind])
  expect(kindsOf(failed('COMMIT_UNKNOWN', 'unknown', []), found)).toEqual([kind])
})

test('a document that several write has to fit what is there of each', () => {
  const shared = { ...committed, plan: { ...plan, isShared: true } }
  expect(kindsOf(shared, there, { sharedCounter: 1 })).toEqual([])
  expect(kindsOf(shared, there, { sharedCounter: 0 })).toEqual(['torn'])
  expect(kindsOf(shared, there, { sharedCounter: 2 })).toEqual(['doubled'])
})

test('a call whose job ran twice, and a result that no job has given', () => {
  expect(kindsOf({ ...committed, jobs: [['one', 'other']], results: ['one'] }, there)).toEqual(['job-doubled'])
  expect(kindsOf({ ...committed, results: ['forged'] }, there)).toEqual(['job-lost'])
  expect(kindsOf({ ...committed, jobs: [[]] }, there)).toEqual(['job-lost'])
})

test('hooks say how it ended: once, and not where nobody knows', () => {
  expect(kindsOf({ ...committed, hooks: [] }, there)).toEqual(['false-hook'])
  expect(kindsOf({ ...committed, hooks: ['afterCommit', 'afterCommit'] }, there)).toEqual(['false-hook'])
  expect(kindsOf(failed('RETRIES_EXHAUSTED', 'not-applied', []), absent)).toEqual(['false-hook'])
  expect(kindsOf(failed('COMMIT_UNKNOWN', 'unknown'), absent)).toEqual(['false-hook'])
  expect(kindsOf(failed('COMMIT_UNKNOWN', 'unknown', ['afterCommit']), there)).toEqual(['false-hook'])
  // One that never came to its body has registered none; one whose calls may have had effects was rolled back all the same.
  expect(kindsOf({ ...failed('RETRIES_EXHAUSTED', 'not-applied', []), bodies: 0 }, absent)).toEqual([])
  expect(kindsOf(failed('RETRY_UNSAFE', 'unknown'), absent, { explains: explaining('RETRY_UNSAFE') })).toEqual([])
})

test('an error is explained by the fault or by the body itself', () => {
  expect(kindsOf(failed('COMMIT_UNKNOWN', 'unknown', []), absent, { explains: explaining() })).toEqual(['unexplained'])
  const hurried = failed('HURRIED', 'not-applied')
  expect(kindsOf(hurried, absent)).toEqual(['unexplained'])
  expect(kindsOf({ ...hurried, plan: { ...plan, isHurried: true } }, absent)).toEqual([])
  const refused = failed('LedgerRefused', 'not-applied')
  expect(kindsOf(refused, absent)).toEqual(['unexplained'])
  expect(kindsOf({ ...refused, plan: { ...plan, isRefused: true } }, absent)).toEqual([])
  expect(kindsOf({ ...committed, plan: { ...plan, isRefused: true } }, there)).toEqual(['unexplained'])
})

test('whatever is still held at the end is told, and breaches are printed with their stories', () => {
  expect(kindsOf(committed, there, { held: ['a permit'] })).toEqual(['held'])
  const stories = Array.from({ length: 8 }, (_, index) => newStory({ ...plan, id: `t${index}` }))
  const history: History = { stories, found: new Map(), sharedCounter: 0, held: [], explains: explaining() }
  const printed = printBreaches(findBreaches(history), history)
  expect(printed).toHaveLength(6)
  expect(printed[0]).toMatch(/^hang: transaction t0 never ended\n/)
  expect(printed[5]).toBe('8 in all')
})

test('an error that is not ours promises that nothing was applied', () => {
  const error = Object.assign(new Error('no'), { name: 'MongoServerError', code: 13 })
  expect(readError(error)).toMatchObject({ outcome: 'not-applied', code: 'MongoServerError 13' })
})
