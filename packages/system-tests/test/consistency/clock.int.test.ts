import { createIdempotency } from '@strata/consistency/idempotency'
import { createInbox } from '@strata/consistency/inbox'
import { createLock } from '@strata/consistency/lock'
import { createTwoPhaseCommit, defineParticipant, transferOf } from '@strata/consistency/two-phase-commit'
import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { useStage } from './stage.ts'

const stage = useStage()
const hourMs = 3_600_000
const job = defineJob({ name: 'ticked', input: z.object({ n: z.number() }), output: z.number() })

afterEach(() => {
  vi.restoreAllMocks()
})

/** The clock of this process: it goes on from an hour ago, or from an hour ahead. */
function setBack(ms = hourMs): void {
  const now = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => now() - ms)
}

const serverTime = async (): Promise<number> => {
  const { localTime } = await stage.outside.command({ hello: 1 })
  return (localTime as Date).getTime()
}

test('a message that was handled before the clock was set back is remembered, and one after it counts by the server', async () => {
  const { db, store } = stage.place()
  const inbox = createInbox({ db, datasource: store })
  await db.start()
  await inbox.ensureIndexes()
  let runs = 0
  const handle = (key: string) => db.run(() => inbox.handle({ scope: 'test', key }, async () => ++runs))
  await handle('a')
  setBack()
  const before = await serverTime()
  expect([await handle('a'), await handle('b'), await handle('b')]).toEqual([1, 2, 2])
  const row = await stage.plain('strata.inbox').findOne({ _id: 'test b' })
  expect(Number(row?.['at'])).toBeGreaterThanOrEqual(before)
})

test('a key is remembered as well, and the transaction of its request begins by the server’s clock', async () => {
  const { db, store } = stage.place()
  const idempotency = createIdempotency({ db, datasource: store })
  await db.start()
  await idempotency.ensureIndexes()
  const post = (key: string) =>
    db.run(() => idempotency.run({ key, request: 1 }, async () => db.current.transaction?.now.getTime() ?? 0))
  const { answer } = await post('a')
  setBack()
  const before = await serverTime()
  expect(await post('a')).toEqual({ answer, replayed: true })
  expect((await post('b')).answer).toBeGreaterThanOrEqual(before)
})

test('pushes of one key keep their order although the clock was set back between them, and are relayed', async () => {
  const committing = await stage.process()
  await committing.outbox.stop()
  const { db, queues } = committing
  const push = (n: number) => db.run(() => db.transaction.begin(() => queues.push(job, { n }, { key: 'k' })))
  for (const n of [1, 2]) await push(n)
  setBack()
  for (const n of [3, 4]) await push(n)
  const relaying = await stage.process({ graceMs: 0, pollMs: 50 })
  relaying.outbox.start()
  await relaying.outbox.flush()
  const waiting = await relaying.queues.queue(job).getWaiting()
  expect(waiting.map(({ data }) => data.n)).toEqual([1, 2, 3, 4])
})

test.each([
  ['an hour behind', hourMs],
  ['an hour ahead', -hourMs],
])('with a clock %s nobody takes over a transfer that is worked on, nor a lease', async (_, ms) => {
  const [one, two] = [stage.place(), stage.place()]
  await stage.plain('accounts').insertMany(['A', 'B'].map(_id => ({ _id, balance: 100 })))
  const [working, recovering] = [one, two].map(({ db, store }) => {
    const accounts = defineParticipant({ name: 'accounts', datasource: store, collection: 'accounts' })
    const transfer = transferOf({ accounts, field: 'balance' })
    return { transfer, commits: createTwoPhaseCommit({ db, datasource: store, definitions: [transfer] }) }
  })
  if (!working || !recovering) throw new Error('Two engines were made')
  await working.commits.ensureIndexes()
  const locks = [one, two].map(({ db, store: datasource }) => createLock({ db, datasource }))
  await using session = stage.outside.client.startSession()
  session.startTransaction()
  await stage.plain('accounts').updateOne({ _id: 'A' }, { $inc: { seen: 1 } }, { session })
  const input = { from: 'A', to: 'B', amount: 10 }
  const running = working.commits.run(working.transfer, { id: 't', input })
  await until(async () => (await working.commits.get('t')) !== undefined, { deadlineMs: 10_000, message: 'its record' })
  const held = await one.db.run(async () => {
    const lease = await locks[0]?.tryAcquire('report')
    setBack(ms)
    const recovered = await recovering.commits.recover()
    const other = await two.db.run(async () => await locks[1]?.tryAcquire('report'))
    return { isHeld: lease?.isHeld, other, taken: recovered.taken }
  })
  expect(held).toEqual({ isHeld: true, other: undefined, taken: 0 })
  await session.abortTransaction()
  expect(await running).toMatchObject({ state: 'done' })
  await recovering.commits.submit(recovering.transfer, { id: 'u', input })
  expect(await recovering.commits.recover()).toMatchObject({ taken: 1, done: 1 })
})
