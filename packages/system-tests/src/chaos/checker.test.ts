import { expect, test } from 'vitest'
import { findBreaches, printBreaches } from './checker.ts'
import type { Applied, Begun, Ended, History, Part, Recorded, Row, Sent } from './history.ts'

const pid = 1
const sentAt = 1_000_000
const deadlineMs = 5000

const sent: Sent = { row: 'sent', id: 'a', pid, at: sentAt, deadlineMs, bytes: 3, isNested: false, expects: [] }
const begun: Begun = { row: 'begun', id: 'a', pid: 2, at: sentAt + 10, attempt: 1 }
const applied: Applied = { row: 'applied', id: 'a', pid: 2, at: sentAt + 20, attempt: 1, stamp: 's' }
const result: Ended = { row: 'ended', id: 'a', pid, at: sentAt + 30, ranMs: 30, stamp: 's', bytes: 3 }
const completed: Recorded = { state: 'completed', finishedAt: sentAt + 25 }

function failed(code: string, outcome: string, afterMs = 30): Ended {
  return { row: 'ended', id: 'a', pid, at: sentAt + afterMs, ranMs: afterMs, code, outcome }
}

function kindsOf(rows: readonly Row[], history: Partial<History> = {}): string[] {
  const none = { call: [], nested: [] }
  const whole = { records: new Map(), outages: [], killed: new Map(), explains: none, ...history, rows }
  return findBreaches(whole).map(({ kind }) => kind)
}

const recorded = (record: Recorded) => ({ records: new Map([['a', record]]) })

test('a call that got its result is sound, also when its job ran twice', () => {
  expect(kindsOf([sent, begun, applied, result], recorded(completed))).toEqual([])
  const again = { ...applied, attempt: 2, stamp: 'another' }
  expect(kindsOf([sent, begun, applied, again, result], recorded(completed))).toEqual([])
})

test('a call that never ends, or long after its deadline, hangs', () => {
  expect(kindsOf([sent, begun])).toEqual(['hang'])
  expect(kindsOf([sent, applied, { ...result, ranMs: deadlineMs + 1001 }])).toEqual(['hang'])
  expect(kindsOf([sent, applied, { ...result, ranMs: deadlineMs + 999 }])).toEqual([])
})

test('time in which the caller did not run does not count, and a caller that was killed owes no end', () => {
  expect(kindsOf([sent, applied, { ...result, at: sentAt + 60_000, ranMs: 4000 }])).toEqual([])
  expect(kindsOf([sent, begun], { killed: new Map([[pid, sentAt + 5]]) })).toEqual([])
})

test('a result that could be read before the caller gave up is lost', () => {
  const late = failed('CALL_TIMEOUT', 'unknown', deadlineMs + 10)
  const explains = { call: ['CALL_TIMEOUT', 'RESULT_LOST'], nested: [] }
  expect(kindsOf([sent, applied, late], { ...recorded(completed), explains })).toEqual(['lost'])
  expect(
    kindsOf([sent, applied, failed('RESULT_LOST', 'unknown', 3000)], { ...recorded(completed), explains }),
  ).toEqual(['lost'])
  // The job ended after the caller had looked, or Redis could not be asked.
  const after: Recorded = { state: 'completed', finishedAt: sentAt + deadlineMs + 5 }
  expect(kindsOf([sent, applied, late], { ...recorded(after), explains })).toEqual([])
  const outages = [{ from: sentAt + 4000, to: sentAt + 6000 }]
  expect(kindsOf([sent, applied, late], { ...recorded(completed), explains, outages })).toEqual([])
})

test('a caller that was paused past its deadline has to look when it runs again', () => {
  const explains = { call: ['CALL_TIMEOUT'], nested: [] }
  const resumed: Ended = { ...failed('CALL_TIMEOUT', 'unknown'), at: sentAt + 20_000, ranMs: 5100 }
  const meanwhile: Recorded = { state: 'completed', finishedAt: sentAt + 15_000 }
  expect(kindsOf([sent, applied, resumed], { ...recorded(meanwhile), explains })).toEqual(['lost'])
})

test('a success that is reported as a failure is false, whenever the job succeeds', () => {
  const explains = { call: ['JOB_FAILED'], nested: [] }
  const history = { ...recorded(completed), explains }
  expect(kindsOf([sent, applied, failed('JOB_FAILED', 'unknown')], history)).toEqual(['false-failure'])
  const stale = failed('JOB_FAILED', 'unknown', 10)
  expect(kindsOf([sent, stale, applied], history)).toEqual(['false-failure'])
  const own: Recorded = { state: 'failed', finishedAt: sentAt + 25 }
  expect(kindsOf([sent, applied, failed('JOB_FAILED', 'unknown')], { ...recorded(own), explains })).toEqual([])
})

test('not-applied that was applied is false, also if it is applied later', () => {
  const explains = { call: ['CALL_TIMEOUT'], nested: [] }
  const end = failed('CALL_TIMEOUT', 'not-applied', deadlineMs + 1)
  expect(kindsOf([sent, end, { ...applied, at: sentAt + 9000 }], { explains })).toEqual(['false-not-applied'])
  const part: Part = { row: 'part', id: 'a', pid: 2, at: sentAt + 15, attempt: 1 }
  expect(kindsOf([sent, begun, part, end], { explains })).toEqual(['false-not-applied'])
  expect(kindsOf([sent, begun, part, failed('CALL_TIMEOUT', 'unknown')], { explains })).toEqual([])
  expect(kindsOf([sent, end], { explains })).toEqual([])
})

test('a result that nobody applied, or only a part of it, is wrong', () => {
  expect(kindsOf([sent, result])).toEqual(['wrong-result'])
  expect(kindsOf([sent, applied, { ...result, stamp: 'forged' }])).toEqual(['wrong-result'])
  expect(kindsOf([sent, { ...applied, id: 'b' }, result])).toEqual(['wrong-result'])
  expect(kindsOf([sent, applied, { ...result, bytes: 2 }])).toEqual(['wrong-result'])
})

test('an error is explained by the fault or by the call itself, apart for calls from inside jobs', () => {
  const end = failed('RESULT_LOST', 'unknown')
  expect(kindsOf([sent, end])).toEqual(['unexplained'])
  expect(kindsOf([{ ...sent, expects: ['RESULT_LOST'] }, end])).toEqual([])
  const explains = { call: [], nested: ['RESULT_LOST'] }
  expect(kindsOf([sent, end], { explains })).toEqual(['unexplained'])
  expect(kindsOf([{ ...sent, isNested: true }, end], { explains })).toEqual([])
})

test('a call whose deadline falls into an outage may time out, and nothing else', () => {
  const outages = [{ from: sentAt, to: sentAt + 6000 }]
  expect(kindsOf([sent, failed('CALL_TIMEOUT', 'unknown', deadlineMs + 10)], { outages })).toEqual([])
  expect(kindsOf([sent, failed('RESULT_LOST', 'unknown', deadlineMs + 10)], { outages })).toEqual(['unexplained'])
  expect(kindsOf([sent, failed('CALL_TIMEOUT', 'unknown', 8000)], { outages })).toContain('unexplained')
})

test('a job begun after the lease of its dead caller has started late', () => {
  const killed = new Map([[pid, sentAt]])
  expect(kindsOf([sent, { ...begun, at: sentAt + 15_301 }], { killed })).toEqual(['started-late'])
  expect(kindsOf([sent, { ...begun, at: sentAt + 15_299 }], { killed })).toEqual([])
})

test('the first breaches are printed with all rows of their calls, and how many there are', () => {
  const child = { ...sent, id: 'a.child.1', isNested: true }
  const others = Array.from({ length: 10 }, (_, index) => ({ ...sent, id: `b${index}` }))
  const explains = { call: [], nested: [] }
  const rows = [sent, child, begun, ...others]
  const history = { rows, records: new Map(), outages: [], killed: new Map(), explains }
  const printed = printBreaches(findBreaches(history), history)
  expect(printed[0]?.split('\n')).toHaveLength(5)
  expect(printed).toHaveLength(6)
  expect(printed[5]).toMatch(/^12 in all; /)
  expect(printBreaches([], history)).toEqual([])
})
