import { until } from '@strata/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { holdAccount } from './held-account.ts'
import { type RunningSchool, send, showLogsOnFailure, startApi, startSchool } from './running-school.ts'

let school: RunningSchool
beforeAll(async () => {
  school = await startSchool({ env: { CALL_TIMEOUT_MS: '2000', LOG_LEVEL: 'warn' } })
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

const post = (path: string, body: unknown = {}, headers?: Record<string, string>) =>
  school.request('POST', path, body, headers)
const balanceOf = async (id: string) => (await school.request('GET', `/accounts/${id}`)).body['balanceCents']

async function accounts(...balances: number[]): Promise<string[]> {
  return await Promise.all(balances.map(each => school.payer(each)))
}

test('moves money once, however often it is sent under its id', async context => {
  showLogsOnFailure(context, school)
  const [from = '', to = ''] = await accounts(1000, 5)
  const asked = { id: `t-${from}`, from, to, amountCents: 300 }
  const answers = await Promise.all([post('/transfers', asked), post('/transfers', asked)])
  const told = { ...asked, state: 'done' }
  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [201, told],
    [201, told],
  ])
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([700, 305])
  expect((await school.request('GET', `/transfers/${asked.id}`)).body).toEqual(told)
  const other = await post('/transfers', { ...asked, amountCents: 1 })
  expect([other.status, other.body['code']]).toEqual([409, 'TRANSFER_ID_REUSED'])
})

test('a transfer of more than there is is kept as canceled', async () => {
  const [from = '', to = ''] = await accounts(10, 5)
  const { status, body } = await post('/transfers', { from, to, amountCents: 11 })
  expect([status, body['code'], body['outcome']]).toEqual([409, 'INSUFFICIENT_FUNDS', 'not-applied'])
  const kept = await school.request('GET', `/transfers/${body['id']}`)
  expect(kept.body).toMatchObject({ from, to, amountCents: 11, state: 'canceled' })
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([10, 5])
  const listed = await school.request('GET', '/transfers?state=canceled')
  expect(listed.body['transfers']).toContainEqual(kept.body)
})

test('an unknown account, on either side, is 404 and nothing is moved', async () => {
  const [known = ''] = await accounts(10)
  for (const asked of [
    { from: known, to: 'nobody', amountCents: 1 },
    { from: 'nobody', to: known, amountCents: 1 },
  ]) {
    const { status, body } = await post('/transfers', asked)
    expect([status, body['code']]).toEqual([404, 'ACCOUNT_NOT_FOUND'])
  }
  expect(await school.request('GET', `/accounts/${known}`)).toMatchObject({ body: { id: known, balanceCents: 10 } })
})

test.each([[0], [-1], [1.5], [2 ** 53], ['1'], [null]])('an amount of %s cents is refused', async amountCents => {
  const { status } = await post('/transfers', { from: 'a', to: 'b', amountCents })
  expect(status).toBe(400)
})

test('a transfer to the same account is refused', async () => {
  const { status, body } = await post('/transfers', { from: 'a', to: 'a', amountCents: 1 })
  expect([status, body['code']]).toEqual([400, 'REQUEST_INVALID'])
})

test('what is done is not canceled, but taken back, once', async () => {
  const [from = '', to = ''] = await accounts(100, 0)
  const { body: made } = await post('/transfers', { from, to, amountCents: 60 })
  const canceled = await post(`/transfers/${made['id']}/cancel`)
  expect([canceled.status, canceled.body['code']]).toEqual([409, 'TRANSFER_IN_FORCE'])
  const answers = await Promise.all([1, 2].map(() => post(`/transfers/${made['id']}/reverse`)))
  const [first] = answers
  expect(first).toMatchObject({ status: 201, body: { from: to, to: from, amountCents: 60, reverseOf: made['id'] } })
  expect(answers[1]?.body).toEqual(first?.body)
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([100, 0])
  const again = await post(`/transfers/${first?.body['id']}/reverse`)
  expect(again).toMatchObject({ status: 201, body: { from, to, amountCents: 60, reverseOf: first?.body['id'] } })
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([40, 60])
})

test('what was spent meanwhile is not taken back', async () => {
  const [from = '', to = '', third = ''] = await accounts(100, 0, 0)
  const { body: made } = await post('/transfers', { from, to, amountCents: 60 })
  await post('/transfers', { from: to, to: third, amountCents: 50 })
  const { status, body } = await post(`/transfers/${made['id']}/reverse`)
  expect([status, body['code']]).toEqual([409, 'INSUFFICIENT_FUNDS'])
  expect(await balanceOf(to)).toBe(10)
})

test.each([
  ['GET', ''],
  ['POST', '/cancel'],
  ['POST', '/reverse'],
])('%s of an unknown transfer%s is 404', async (method, verb) => {
  const { status, body } = await school.request(method, `/transfers/none${verb}`, method === 'POST' ? {} : undefined)
  expect([status, body['code']]).toEqual([404, 'TRANSFER_NOT_FOUND'])
})

test('a request with a key moves money once, and is answered the same again', async context => {
  showLogsOnFailure(context, school)
  const [from = '', to = ''] = await accounts(100, 0)
  const key = { 'idempotency-key': `k-${from}` }
  const asked = { from, to, amountCents: 10 }
  const first = await post('/transfers', asked, key)
  const second = await post('/transfers', asked, key)
  expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 201, 'true'])
  expect(second.body).toEqual(first.body)
  expect(await balanceOf(from)).toBe(90)
  const other = await post('/transfers', { ...asked, amountCents: 11 }, key)
  expect([other.status, other.body['code']]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
  const reversed = await post(`/transfers/${first.body['id']}/reverse`, {}, key)
  expect([reversed.status, reversed.body['code']]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
})

test('a transfer that cannot end in time is told as it is, and ends', async context => {
  showLogsOnFailure(context, school)
  const [from = '', to = ''] = await accounts(100, 0)
  const asked = { id: `slow-${from}`, from, to, amountCents: 40 }
  const release = await holdAccount(school, to)
  const { status, body } = await post('/transfers', asked)
  expect([status, body['state']]).toEqual([202, 'pending'])
  await release()
  await until(async () => (await school.request('GET', `/transfers/${asked.id}`)).body['state'] === 'done', {
    deadlineMs: 20_000,
    message: 'the end of the transfer',
  })
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([60, 40])
})

test('a transfer that is under way is canceled, and moves nothing', async context => {
  showLogsOnFailure(context, school)
  const [from = '', to = ''] = await accounts(100, 0)
  const id = `canceled-${from}`
  const key = { 'idempotency-key': `c-${from}` }
  const release = await holdAccount(school, to)
  const sent = post('/transfers', { id, from, to, amountCents: 40 })
  await until(async () => (await school.request('GET', `/transfers/${id}`)).status === 200, {
    deadlineMs: 10_000,
    message: 'the transfer',
  })
  const canceled = await post(`/transfers/${id}/cancel`, {}, key)
  expect([canceled.status, canceled.body['id']]).toEqual([200, id])
  expect(['canceling', 'canceled']).toContain(canceled.body['state'])
  await release()
  expect((await sent).body['code']).toBe('TRANSFER_CANCELED')
  await until(async () => (await school.request('GET', `/transfers/${id}`)).body['state'] === 'canceled', {
    deadlineMs: 20_000,
    message: 'the end of the transfer',
  })
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([100, 0])
  const again = await post(`/transfers/${id}/cancel`, {}, key)
  expect([again.headers.get('idempotency-replayed'), again.body]).toEqual(['true', canceled.body])
})

test('a reverse with a key takes back once, and is answered the same again', async () => {
  const [from = '', to = ''] = await accounts(100, 0)
  const key = { 'idempotency-key': `r-${from}` }
  const { body } = await post('/transfers', { from, to, amountCents: 60 })
  const [first, second] = [
    await post(`/transfers/${body['id']}/reverse`, {}, key),
    await post(`/transfers/${body['id']}/reverse`, {}, key),
  ]
  expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 201, 'true'])
  expect(second.body).toEqual(first.body)
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([100, 0])
})

test('the id of a reverse is refused for a transfer', async () => {
  const { status, body } = await post('/transfers', { id: 't:reverse', from: 'a', to: 'b', amountCents: 1 })
  expect([status, body['code']]).toEqual([400, 'REQUEST_INVALID'])
})

test('what goes on without its process is ended by a worker', async context => {
  await using killed = await startSchool({ env: { CALL_TIMEOUT_MS: '2000', LOG_LEVEL: 'warn' } })
  showLogsOnFailure(context, killed)
  const [from = '', to = ''] = await Promise.all([killed.payer(100), killed.payer(0)])
  const release = await holdAccount(killed, to)
  const sent = killed.request('POST', '/transfers', { id: 'left', from, to, amountCents: 40 }).catch(() => undefined)
  const records = killed.database.collection<{ _id: string; state: string }>('strata.transactions')
  await until(async () => (await records.findOne({ _id: 'left' })) !== null, {
    deadlineMs: 10_000,
    message: 'a record',
  })
  killed.api.kill('SIGKILL')
  await sent
  await release()
  await until(async () => (await records.findOne({ _id: 'left' }))?.state === 'done', {
    deadlineMs: 30_000,
    message: 'the worker to end the transfer',
  })
  const found = await killed.database.collection<{ _id: string; balanceCents: number }>('accounts').find().toArray()
  expect(Object.fromEntries(found.map(({ _id, balanceCents }) => [_id, balanceCents]))).toEqual({
    [from]: 60,
    [to]: 40,
  })
})

test('a request with a key whose end is not known finds its transfer again', async context => {
  showLogsOnFailure(context, school)
  const [from = '', to = ''] = await accounts(100, 0)
  const key = { 'idempotency-key': `lost-${from}` }
  const asked = { from, to, amountCents: 10 }
  const first = await post('/transfers', asked, key)
  // As after a commit of the key's record that failed: the next request is another run of it.
  const keys = school.database.collection('strata.idempotency')
  const open = { $unset: { answer: true }, $inc: { generation: 1 } } as const
  expect((await keys.updateOne({ answer: { $regex: String(first.body['id']) } }, open)).matchedCount).toBe(1)
  const second = await post('/transfers', asked, key)
  expect([second.status, second.body]).toEqual([201, first.body])
  expect([await balanceOf(from), await balanceOf(to)]).toEqual([90, 10])
})

test('a request with a key whose process was killed finds its transfer again', async context => {
  await using killed = await startSchool({ env: { CALL_TIMEOUT_MS: '5000', LOG_LEVEL: 'warn' } })
  showLogsOnFailure(context, killed)
  const [from = '', to = ''] = await Promise.all([killed.payer(100), killed.payer(0)])
  const asked = { from, to, amountCents: 40 }
  const key = { 'idempotency-key': 'one' }
  const release = await holdAccount(killed, to)
  const sent = killed.request('POST', '/transfers', asked, key).catch(() => undefined)
  const records = killed.database.collection('strata.transactions')
  await until(async () => (await records.countDocuments()) === 1, { deadlineMs: 10_000, message: 'a record' })
  killed.api.kill('SIGKILL')
  await sent
  await release()
  await using again = await startApiAgain(killed)
  await until(async () => (await again.post(asked, key)).status === 201, { deadlineMs: 30_000, message: 'an answer' })
  expect(await records.countDocuments()).toBe(1)
  const { body } = await again.get(`/accounts/${from}`)
  expect(body['balanceCents']).toBe(60)
})

test('an id that can be none is one that nobody has', async () => {
  const { status, body } = await school.request('GET', `/transfers/${'x'.repeat(300)}`)
  expect([status, body['code']]).toEqual([404, 'TRANSFER_NOT_FOUND'])
})

async function startApiAgain({ env }: RunningSchool) {
  const { api, url } = await startApi(env)
  return {
    post: (body: unknown, headers: Record<string, string>) =>
      send(url, { method: 'POST', path: '/transfers', body, headers }),
    get: (path: string) => send(url, { method: 'GET', path, body: undefined, headers: {} }),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  }
}
