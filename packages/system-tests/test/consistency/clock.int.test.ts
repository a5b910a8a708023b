import { createIdempotency } from '@strata/consistency/idempotency'
import { createInbox } from '@strata/consistency/inbox'
import { defineJob } from '@strata/queue'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { useStage } from './stage.ts'

const stage = useStage()
const hourMs = 3_600_000
const job = defineJob({ name: 'ticked', input: z.object({ n: z.number() }), output: z.number() })

afterEach(() => {
  vi.restoreAllMocks()
})

/** The clock of this process: it goes on from an hour ago. */
function setBack(): void {
  const now = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => now() - hourMs)
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
