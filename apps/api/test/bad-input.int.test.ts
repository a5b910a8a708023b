import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, type RunningSchool, startSchool } from './running-school.ts'

let school: RunningSchool
let id: string
beforeAll(async () => {
  school = await startSchool()
  id = await school.payer(1000)
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

function expectProblem(answer: Answer, { status, code }: { status: number; code: string }): void {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(answer.body).toEqual({
    type: expect.stringMatching(/^urn:strata:problem:[a-z-]+$/),
    title: expect.any(String),
    status,
    code,
    outcome: 'not-applied',
    transient: false,
    detail: expect.any(String),
  })
  expect(answer.status).toBe(status)
  expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.ts:\d|\bat \w+ \(/)
}

const invalid = { status: 400, code: 'REQUEST_INVALID' }
const megabyte = 1024 * 1024

describe('a body that does not fit is refused, and says why', () => {
  test.for([
    ['a student without a name', '/students', {}],
    ['a student with an empty name', '/students', { name: '  ' }],
    ['a student with a name of 201 characters', '/students', { name: 'a'.repeat(201) }],
    ['a student whose name is a number', '/students', { name: 7 }],
    ['a student whose name is an operator', '/students', { name: { $ne: '' } }],
    ['a student with a field too many', '/students', { name: 'Ada', courses: ['Logic'] }],
    ['no object', '/students', ['Ada']],
    ['null', '/students', 'null'],
    ['an account with a negative balance', '/accounts', { id: 'a', balanceCents: -1 }],
    ['an account with a fractional balance', '/accounts', { id: 'a', balanceCents: 0.5 }],
    ['an account with a balance beyond what is exact', '/accounts', { id: 'a', balanceCents: 2 ** 53 }],
    ['an account whose balance is text', '/accounts', { id: 'a', balanceCents: '1' }],
    ['an account without an id', '/accounts', { balanceCents: 1 }],
    ['an account with an empty id', '/accounts', { id: '', balanceCents: 1 }],
    ['an account with an id of 129 characters', '/accounts', { id: 'a'.repeat(129), balanceCents: 1 }],
    ['an enrolment with a negative fee', '/enrolments', { studentId: 'a', course: 'Logic', feeCents: -1 }],
    ['an enrolment with a fractional fee', '/enrolments', { studentId: 'a', course: 'Logic', feeCents: 1.5 }],
    ['an enrolment without a course', '/enrolments', { studentId: 'a', feeCents: 1 }],
    ['an enrolment without a student', '/enrolments', { course: 'Logic', feeCents: 1 }],
  ] as const)('%s', async ([, path, body]) => {
    expectProblem(await school.request('POST', path, body), invalid)
  })

  test('the detail names the field', async () => {
    const { body } = await school.request('POST', '/accounts', { id: 'a', balanceCents: -1 })
    expect(body['detail']).toMatch(/^body\/balanceCents: .*0/)
  })

  test('an enrolment that is refused moves no money', async () => {
    for (const feeCents of [-400, 0.5]) {
      expectProblem(await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents }), invalid)
    }
    expect((await school.request('GET', `/accounts/${id}`)).body['balanceCents']).toBe(1000)
  })
})

describe('a body that cannot be read', () => {
  const notJson = { status: 400, code: 'BODY_INVALID' }

  test.for(['{', '{"name":', 'name=Ada', '{"name": "Ada",}'])('%s is not JSON', async text => {
    expectProblem(await school.request('POST', '/students', text), notJson)
  })

  test('none at all', async () => {
    expectProblem(await school.request('POST', '/students', ''), notJson)
    expectProblem(await school.request('POST', '/students'), invalid)
  })

  test('a prototype in it', async () => {
    expectProblem(await school.request('POST', '/students', '{"name":"Ada","__proto__":{"a":1}}'), notJson)
  })

  test.for([
    ['text', '{"name":"Ada"}'],
    ['a form', new URLSearchParams({ name: 'Ada' })],
  ] as const)('%s that says it is that', async ([, body]) => {
    const response = await fetch(`${school.url}/students`, { method: 'POST', body })
    expect([response.status, await response.json()]).toEqual([
      415,
      expect.objectContaining({ code: 'MEDIA_TYPE_UNSUPPORTED' }),
    ])
  })

  test('more than 1 MiB', async () => {
    const tooLarge = JSON.stringify({ name: 'a'.repeat(megabyte) })
    expectProblem(await school.request('POST', '/students', tooLarge), { status: 413, code: 'BODY_TOO_LARGE' })
  })

  test('exactly 1 MiB is read', async () => {
    const frame = JSON.stringify({ name: '' }).length
    expectProblem(await school.request('POST', '/students', { name: 'a'.repeat(megabyte - frame) }), invalid)
  })
})

describe('what is not there', () => {
  test.for([
    ['GET', '/nothing'],
    ['DELETE', '/students'],
    ['GET', '/students'],
  ] as const)('%s %s', async ([method, path]) => {
    expectProblem(await school.request(method, path), { status: 404, code: 'ROUTE_NOT_FOUND' })
  })

  test.for([
    ['that is short', 'a'],
    ['of 5,000 characters', 'a'.repeat(5000)],
    ['of a null character', '%00'],
    ['that is nearly one', `${randomUUID()}x`],
  ] as const)('a student with an id %s', async ([, unknown]) => {
    const { status, body } = await school.request('GET', `/students/${unknown}`)
    expect([status, body['outcome']]).toEqual([404, 'not-applied'])
  })

  test('a URL that cannot be decoded', async () => {
    expectProblem(await school.request('GET', '/students/%zz'), { status: 400, code: 'URL_INVALID' })
  })
})

test('conflicts with what is there', async () => {
  expectProblem(await school.request('POST', '/accounts', { id, balanceCents: 1 }), {
    status: 409,
    code: 'ACCOUNT_EXISTS',
  })
  expectProblem(await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 1001 }), {
    status: 409,
    code: 'INSUFFICIENT_FUNDS',
  })
})
