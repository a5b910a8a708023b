import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, type RunningSchool, showLogsOnFailure, startSchool } from './running-school.ts'

const crowd = 200
/** A crowd waits in turn for one connection and one slot: minutes of a test, seconds of a machine. */
const limitMs = 120_000

let school: RunningSchool
beforeAll(async () => {
  school = await startSchool({ workers: 2, env: { POOL_MAX: '1', LANE_SLOTS: '1', LOG_LEVEL: 'warn' } })
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

const numbers = Array.from({ length: crowd }, (_, n) => n)
const statuses = (answers: readonly Answer[]) => [...new Set(answers.map(({ status }) => status))]

async function balances(ids: readonly string[]): Promise<number> {
  const answers = await Promise.all(ids.map(id => school.request('GET', `/accounts/${id}`)))
  return answers.reduce((sum, { body }) => sum + Number(body['balanceCents']), 0)
}

test('200 renames and 200 enrolments at once, with pools and lanes of one', { timeout: limitMs }, async context => {
  showLogsOnFailure(context, school)
  const ids = await Promise.all(numbers.map(() => school.payer(1000)))
  const renames = ids.map((id, n) => school.request('PUT', `/students/${id}/name`, { name: `Renamed ${n}` }))
  const enrolments = ids.map((studentId, n) =>
    school.request('POST', '/enrolments', { studentId, course: `Course ${n}`, feeCents: n }),
  )
  const [renamed, enrolled] = await Promise.all([Promise.all(renames), Promise.all(enrolments)])
  expect([statuses(renamed), statuses(enrolled)]).toEqual([[200], [201]])
  expect(renamed.every(({ body }) => String(body['levels']) === '0,1')).toBe(true)
  expect(enrolled.every(({ body }) => String(body['levels']) === '0,1,2')).toBe(true)

  const students = await Promise.all(ids.map(id => school.request('GET', `/students/${id}`)))
  expect(students.map(({ body }) => [body['name'], body['courses']])).toEqual(
    numbers.map(n => [`Renamed ${n}`, [`Course ${n}`]]),
  )
  const fees = numbers.reduce((sum, n) => sum + n, 0)
  expect(await balances(ids)).toBe(crowd * 1000 - fees)
})

test('200 enrolments of one student on one account', { timeout: limitMs }, async context => {
  showLogsOnFailure(context, school)
  const id = await school.payer(crowd * 7 + 3)
  const answers = await Promise.all(
    numbers.map(n => school.request('POST', '/enrolments', { studentId: id, course: `Course ${n}`, feeCents: 7 })),
  )
  expect(statuses(answers)).toEqual([201])
  expect(await balances([id])).toBe(3)
  const { body } = await school.request('GET', `/students/${id}`)
  expect(new Set(body['courses'] as string[])).toEqual(new Set(numbers.map(n => `Course ${n}`)))
})

test('100 enrolments on one account that wait for it in more slots than it can serve', {
  timeout: limitMs,
}, async context => {
  await using many = await startSchool({ workers: 2, env: { LOG_LEVEL: 'warn' } })
  showLogsOnFailure(context, many)
  const id = await many.payer(1000)
  const answers = await Promise.all(
    numbers
      .slice(0, 100)
      .map(n => many.request('POST', '/enrolments', { studentId: id, course: `Course ${n}`, feeCents: 7 })),
  )
  expect(answers.filter(({ status }) => status !== 201)).toEqual([])
  expect((await many.request('GET', `/accounts/${id}`)).body['balanceCents']).toBe(300)
})

test('an account that pays for 20 of 40 enrolments at once pays for 20', { timeout: limitMs }, async context => {
  showLogsOnFailure(context, school)
  const id = await school.payer(20 * 7 + 6)
  const answers = await Promise.all(
    numbers
      .slice(0, 40)
      .map(n => school.request('POST', '/enrolments', { studentId: id, course: `Course ${n}`, feeCents: 7 })),
  )
  const codes = answers.map(({ status, body }) => String(body['code'] ?? status)).sort()
  expect(codes).toEqual([...Array(20).fill('201'), ...Array(20).fill('INSUFFICIENT_FUNDS')])
  expect(await balances([id])).toBe(6)
  const { body } = await school.request('GET', `/students/${id}`)
  expect(body['courses']).toHaveLength(20)
  expect(await school.database.collection('enrolments').countDocuments({ studentId: id })).toBe(20)
})
