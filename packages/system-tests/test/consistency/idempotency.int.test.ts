import { createIdempotency, type IdempotencyOptions } from '@strata/consistency/idempotency'
import { StrataError } from '@strata/db-context'
import { defineJob, type Queues } from '@strata/queue'
import { gate } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type PlaceOptions, useStage } from './stage.ts'

const stage = useStage()
const charge = defineJob({ name: 'charge', input: z.object({ id: z.string() }), output: z.number() })

interface Order {
  readonly _id: string
  readonly by: string
}

/** An API process: its orders are written with the id of their transaction, as a keyed request's are. */
async function api(options: Partial<IdempotencyOptions> = {}, context: PlaceOptions = {}) {
  const { db, store } = stage.place(context)
  const idempotency = createIdempotency({ db, datasource: store, ...options })
  await db.start()
  await idempotency.ensureIndexes()
  await store.service.createCollection('orders').catch(() => {})
  const orders = store.collection<Order>('orders')
  const insert = async () => {
    const id = db.current.transaction?.id ?? ''
    await orders.insertOne({ _id: id, by: 'request' })
    return { id, at: db.current.transaction?.now.getTime() }
  }
  const post = <T>(body: () => Promise<T>, { key = 'k', request = { a: 1, b: 2 } as unknown } = {}) =>
    db.run(() => idempotency.run({ key, request }, body))
  return { db, store, post, insert, idempotency }
}

const records = () => stage.outside.collection<{ _id: string; generation?: number }>('strata.idempotency')
const ordersThere = () => stage.outside.collection<Order>('orders').countDocuments()
const failure = (code: string, transient: boolean, outcome: 'not-applied' | 'unknown' = 'not-applied') =>
  new StrataError(code, 'It failed', { outcome, transient, details: { why: 'test' } })

test('the same key and the same request, its properties in another order, get the same answer', async () => {
  const { post, insert } = await api()
  const first = await post(insert)
  expect(first).toMatchObject({ replayed: false, answer: { id: expect.stringMatching(/^[\w-]{43}$/) } })
  const again = await post(insert, { request: { b: 2, a: 1 } })
  expect(again).toEqual({ replayed: true, answer: first.answer })
  expect(await ordersThere()).toBe(1)
})

test('the same key with another request is refused; another key is another request', async () => {
  const { post, insert } = await api()
  await post(insert)
  const reused = post(insert, { request: { a: 1, b: 3 } })
  await expect(reused).rejects.toMatchObject({
    code: 'IDEMPOTENCY_KEY_REUSED',
    outcome: 'not-applied',
    transient: false,
  })
  expect(await post(insert, { key: 'other' })).toMatchObject({ replayed: false })
  expect(await ordersThere()).toBe(2)
})

test('while the first is worked on, the same is told so at once, in another process too; another request is refused', async () => {
  const [one, two] = [await api(), await api()]
  const [begun, open] = [gate(), gate()]
  const first = one.post(async () => {
    begun.open()
    await open.wait()
    return await one.insert()
  })
  await begun.wait()
  for (const { post, insert } of [one, two]) {
    const error = await post(insert).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'IDEMPOTENCY_IN_PROGRESS', transient: true, details: { retryAfterMs: 1000 } })
    await expect(post(insert, { request: 1 })).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' })
  }
  open.open()
  const { answer } = await first
  expect(await two.post(two.insert)).toEqual({ replayed: true, answer })
})

test('a record that a killed process has not committed is told as in progress, and taken up once it is free', async () => {
  const { post, insert } = await api({}, { lockWaitMs: 300 })
  const killed = stage.outside.client.startSession()
  killed.startTransaction()
  await records().insertOne({ _id: 'all k' }, { session: killed })
  await expect(post(insert)).rejects.toMatchObject({ code: 'IDEMPOTENCY_IN_PROGRESS', transient: true })
  await killed.abortTransaction()
  await killed.endSession()
  expect(await post(insert)).toMatchObject({ replayed: false })
})

test('of 20 at once one is worked on, and all have its answer in the end', async () => {
  const { post, insert } = await api()
  const insistent = async (): Promise<unknown> => {
    for (;;) {
      const end = await post(insert).catch((error: StrataError) => error)
      if (!(end instanceof StrataError)) return end.answer
      expect(end.code).toBe('IDEMPOTENCY_IN_PROGRESS')
    }
  }
  const answers = await Promise.all(Array.from({ length: 20 }, insistent))
  expect(new Set(answers.map(answer => JSON.stringify(answer))).size).toBe(1)
  expect(await ordersThere()).toBe(1)
})

test('a refusal that would come again is the answer, also when it would not come any more', async () => {
  const { post, insert } = await api()
  const refuse = () => Promise.reject(failure('INSUFFICIENT_FUNDS', false))
  await expect(post(refuse)).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' })
  await expect(post(insert)).rejects.toMatchObject({
    code: 'INSUFFICIENT_FUNDS',
    outcome: 'not-applied',
    transient: false,
    details: { why: 'test', replayed: true },
  })
  expect(await ordersThere()).toBe(0)
})

test.for<[string, Error, number]>([
  ['that may pass, and did nothing, is not: the next has another transaction', failure('BUSY', true), 1],
  ['that the application does not count as an answer is not either', failure('BROKEN', false), 1],
  ['whose outcome is unknown is taken up by the next, in the same transaction', failure('LOST', false, 'unknown'), 0],
  ['of another class is taken up as well', new TypeError('broken'), 0],
])('a failure %s', async ([, error, generation]) => {
  const { db, post, insert } = await api({ isFinal: ({ code }) => code !== 'BROKEN' })
  const ids: unknown[] = []
  const fails = async () => {
    ids.push(db.current.transaction?.id)
    throw error
  }
  await expect(post(fails)).rejects.toBe(error)
  expect((await records().findOne())?.generation).toBe(generation)
  const { answer } = await post(insert)
  expect(answer.id === ids[0]).toBe(generation === 0)
})

/** A worker whose job counts what it charges. */
async function chargingWorker() {
  const { db } = stage.place()
  const worker = stage.worker(db)
  const charged: string[] = []
  worker.handle(charge, async ({ id }) => charged.push(id))
  await worker.start()
  return charged
}

const pay = ({ db }: Awaited<ReturnType<typeof api>>, queues: Queues) =>
  queues.pushAsync(charge, { id: db.current.transaction?.id ?? '' })

test('what a process that was killed had awaited is not done again by the one that takes the request up', async () => {
  const charged = await chargingWorker()
  const [one, two] = [await api(), await api()]
  const [first, second] = [stage.queues(one.db), stage.queues(two.db)]
  const lost = new TypeError('As if killed: nothing is noted')
  await expect(one.post(() => pay(one, first).then(() => Promise.reject(lost)))).rejects.toBe(lost)
  const { answer } = await two.post(async () => {
    await pay(two, second)
    return await two.insert()
  })
  expect(charged).toEqual([answer.id])
})

test('after a failure with nothing applied the next request makes calls of its own', async () => {
  const charged = await chargingWorker()
  const one = await api()
  const queues = stage.queues(one.db)
  const busy = failure('BUSY', true)
  await expect(one.post(() => pay(one, queues).then(() => Promise.reject(busy)))).rejects.toBe(busy)
  await one.post(() => pay(one, queues))
  expect(new Set(charged).size).toBe(2)
})

test('the time of a transaction that is taken up is the one that it was first begun at', async () => {
  const { db, post, insert } = await api()
  let first: number | undefined
  const lost = async () => {
    first = db.current.transaction?.now.getTime()
    throw new TypeError('broken')
  }
  await post(lost).catch(() => {})
  expect((await post(insert)).answer.at).toBe(first)
})

test.for<[string, unknown]>([
  ['a function', () => {}],
  ['nothing', undefined],
  ['too large', 'x'.repeat(2000)],
])('an answer that cannot be kept (%s) rolls the request back', async ([, answer]) => {
  const { post, insert } = await api({ answerBytesMax: 1000 })
  const error = await post(() => insert().then(() => answer)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'IDEMPOTENCY_ANSWER_INVALID', outcome: 'not-applied' })
  expect(await ordersThere()).toBe(0)
})

test.for([
  ['a newer version wrote', { v: 2 }],
  ['lost a part', { v: 1, generation: 'one' }],
  ['has an answer that is not JSON', { answer: '{' }],
  ['has an error that is none', { refusal: '{}' }],
])('a record that %s is a typed error, and nothing is done', async ([, change]) => {
  const { post, insert } = await api()
  await post(() => Promise.reject(new TypeError('broken'))).catch(() => {})
  await records().updateOne({}, { $set: change as object })
  await expect(post(insert)).rejects.toMatchObject({ code: 'IDEMPOTENCY_ROW_INVALID', outcome: 'unknown' })
  expect(await ordersThere()).toBe(0)
})

test('a key of 10 MB, an empty one, and a place inside a transaction are refused before anything is done', async () => {
  const { db, post, insert, idempotency } = await api()
  for (const key of ['k'.repeat(10_000_000), '', '\udc00']) {
    await expect(post(insert, { key })).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_INVALID' })
  }
  const inside = db.run(() => db.transaction.begin(() => idempotency.run({ key: 'k', request: 1 }, insert)))
  await expect(inside).rejects.toMatchObject({ code: 'CONFIG' })
  expect(await records().countDocuments()).toBe(0)
})
