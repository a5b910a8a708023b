import { randomUUID } from 'node:crypto'
import { until } from '@strata/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holdAccount } from './held-account.ts'
import { type Answer, type RunningSchool, send, showLogsOnFailure, startApi, startSchool } from './running-school.ts'
import { stateOf } from './school-state.ts'

let school: RunningSchool
beforeAll(async () => {
  school = await startSchool()
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

const post = (path: string, body: unknown, key: string) =>
  school.request('POST', path, body, { 'idempotency-key': key })
const enrolmentOf = (studentId: string, feeCents = 10) => ({ studentId, course: 'Logic', feeCents })

/** The answer, if it is that another is being worked on. */
async function told(answer: Promise<Answer>): Promise<Answer> {
  const { status, body } = await answer
  if (status !== 409) throw new Error(`Was answered ${status}: ${JSON.stringify(body)}`)
  return await answer
}

describe('a request that is repeated with its key', () => {
  test.for<[string, () => Promise<object>]>([
    ['/students', async () => ({ name: 'Ada' })],
    ['/accounts', async () => ({ id: randomUUID(), balanceCents: 5 })],
    ['/enrolments', async () => enrolmentOf(await school.payer(100))],
  ])('to %s gets the answer of the first, and says so', async ([path, made]) => {
    const body = await made()
    const key = randomUUID()
    const first = await post(path, body, key)
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([201, null])
    const again = await post(path, body, key)
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(again.body).toEqual(first.body)
  })

  test('is done once', async () => {
    const id = await school.payer(100)
    const key = randomUUID()
    const first = await post('/enrolments', enrolmentOf(id), key)
    await Promise.all([1, 2, 3].map(() => post('/enrolments', enrolmentOf(id), key)))
    expect(first).toMatchObject({ status: 201, body: { levels: [0, 1, 2] } })
    expect(await stateOf(school, id)).toEqual({ enrolled: 1, charged: 1, balanceCents: 90 })
  })

  test('gets a refusal again, whatever has changed; a request with another key does not', async () => {
    const id = await school.payer(5)
    const key = randomUUID()
    const refused = { status: 409, body: { code: 'INSUFFICIENT_FUNDS', outcome: 'not-applied', transient: false } }
    expect(await post('/enrolments', enrolmentOf(id), key)).toMatchObject(refused)
    await school.database.collection<{ _id: string }>('accounts').updateOne({ _id: id }, { $set: { balanceCents: 50 } })
    expect(await post('/enrolments', enrolmentOf(id), key)).toMatchObject(refused)
    expect((await post('/enrolments', enrolmentOf(id), randomUUID())).status).toBe(201)
    expect(await stateOf(school, id)).toEqual({ enrolled: 1, charged: 1, balanceCents: 40 })
  })

  test('while the first is worked on is 409, with a Retry-After', async () => {
    const id = await school.payer(100)
    const key = randomUUID()
    const release = await holdAccount(school, id)
    // One of them is worked on, whichever begins first; the others are told so while it waits for the account.
    const all = [1, 2, 3].map(() => post('/enrolments', enrolmentOf(id), key))
    const second = await Promise.any(all.map(told))
    expect(second.headers.get('retry-after')).toBe('1')
    expect(second.body).toMatchObject({ code: 'IDEMPOTENCY_IN_PROGRESS', outcome: 'not-applied', transient: true })
    await release()
    await until(async () => (await post('/enrolments', enrolmentOf(id), key)).status === 201, {
      deadlineMs: 20_000,
      message: 'its answer',
    })
    await Promise.all(all)
    expect(await stateOf(school, id)).toEqual({ enrolled: 1, charged: 1, balanceCents: 90 })
  })
})

test('a key that was used for another body, or another route, is 422', async () => {
  const key = randomUUID()
  expect((await post('/students', { name: 'Ada' }, key)).status).toBe(201)
  const reused = { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED', outcome: 'not-applied', transient: false } }
  expect(await post('/students', { name: 'Grace' }, key)).toMatchObject(reused)
  expect(await post('/accounts', { id: randomUUID(), balanceCents: 1 }, key)).toMatchObject(reused)
})

test.for<[string, string]>([
  ['with a blank', 'a b'],
  ['of 256 characters', 'k'.repeat(256)],
  ['that is empty', ''],
  ['beyond ASCII', 'schl\u00fcssel'],
])('a key %s is 400', async ([, key]) => {
  expect(await post('/students', { name: 'Ada' }, key)).toMatchObject({
    status: 400,
    body: { code: 'REQUEST_INVALID' },
  })
})

test('the header is described', async () => {
  const { body } = await school.request('GET', '/openapi.json')
  const paths = body['paths'] as Record<string, { post?: { parameters: object[]; responses: object } }>
  for (const path of ['/students', '/accounts', '/enrolments']) {
    expect(paths[path]?.post?.parameters).toMatchObject([{ name: 'idempotency-key', in: 'header', required: false }])
    expect(Object.keys(paths[path]?.post?.responses ?? {})).toEqual(expect.arrayContaining(['409', '422']))
  }
})

test('enrolments whose API was killed in the middle are done once when they are repeated until answered', async context => {
  await using killed = await startSchool({ workers: 2 })
  showLogsOnFailure(context, killed)
  const ids = await Promise.all([1, 2, 3, 4].map(() => killed.payer(100)))
  const asked = ids.map(id => ({ id, headers: { 'idempotency-key': randomUUID() } }))
  const release = await holdAccount(killed, ids[0] ?? '')
  const charges = killed.database.collection('charges')
  const lost = asked.map(({ id, headers }) =>
    killed.request('POST', '/enrolments', enrolmentOf(id), headers).catch(() => undefined),
  )
  await until(async () => (await charges.countDocuments()) > 0, { deadlineMs: 10_000, message: 'a charge' })
  killed.api.kill('SIGKILL')
  await killed.api.exited
  await release()
  await Promise.all(lost)

  const { api, url } = await startApi(killed.env)
  try {
    const repeat = async ({ id, headers }: (typeof asked)[number]) => {
      let answer: Answer | undefined
      const isAnswered = async () => {
        answer = await send(url, { method: 'POST', path: '/enrolments', body: enrolmentOf(id), headers })
        return answer.status === 201
      }
      await until(isAnswered, { deadlineMs: 50_000, message: `an answer for ${id}` })
      return answer
    }
    for (const answer of await Promise.all(asked.map(repeat))) expect(answer?.body['levels']).toEqual([0, 1, 2])
    for (const id of ids) expect(await stateOf(killed, id)).toEqual({ enrolled: 1, charged: 1, balanceCents: 90 })
  } finally {
    await api[Symbol.asyncDispose]()
  }
})
