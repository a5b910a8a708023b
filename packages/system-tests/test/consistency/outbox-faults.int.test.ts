import { createOutbox } from '@strata/consistency/outbox'
import { createDbContext, hasCode } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { defineJob } from '@strata/queue'
import { startFaultProxy, until } from '@strata/testkit'
import { expect, inject, test } from 'vitest'
import { z } from 'zod'
import { type Process, useStage } from './stage.ts'

const job = defineJob({ name: 'welcome', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
const rows = () => stage.plain('strata.outbox')

const push = ({ db, queues }: Process, n: number, options: { key?: string; ordered?: boolean } = {}) =>
  db.run(() => db.transaction.begin(() => queues.push(job, { n }, options)))

const sent = async ({ queues }: Process) => {
  const jobs = await queues.queue(job).getJobs()
  return jobs.map(({ data }) => data.n).sort((a, b) => a - b)
}

/** A process that commits and then, as far as the outbox goes, is gone. */
async function killedProcess() {
  const process = await stage.process()
  await process.outbox.stop()
  return process
}

const untilSent = (process: Process, expected: number[]) =>
  until(async () => JSON.stringify(await sent(process)) === JSON.stringify(expected), {
    deadlineMs: 15_000,
    message: `jobs ${expected.join(', ')} to be sent`,
  })

/** What a row may be when it was not this code that wrote it. */
const poison: [string, Record<string, unknown>, string][] = [
  ['of a newer version', { v: 2 }, 'OUTBOX_ROW_INVALID'],
  ['whose data are cut', { data: '{"n":' }, 'OUTBOX_ROW_INVALID'],
  ['without a job', { job: null }, 'OUTBOX_ROW_INVALID'],
  ['of a level that is none', { level: -1 }, 'OUTBOX_ROW_INVALID'],
  ['with options that BullMQ refuses', { options: '{"priority":1e9}' }, 'SEND_FAILED'],
  ['with a backoff that BullMQ does not have', { options: '{"backoff":{"type":"none"}}' }, 'OPTION_REFUSED'],
  ['with a job id that BullMQ refuses', { id: '12345' }, 'SEND_FAILED'],
]

test.each(poison)('a row %s is set aside with its error, and blocks its own key alone', async (_, change, code) => {
  const killed = await killedProcess()
  await push(killed, 1, { key: 'bad' })
  await rows().updateOne({}, { $set: change })
  await push(killed, 2, { key: 'bad' })
  await push(killed, 3, { key: 'good' })
  await push(killed, 4)
  const process = await stage.process({ graceMs: 0 })
  await process.outbox.flush()
  expect(await sent(process)).toEqual([3, 4])
  const [aside] = await process.outbox.setAside.list()
  expect(aside).toMatchObject({ key: 'bad', fault: { code, message: expect.any(String) } })
  expect(await process.outbox.setAside.drop([aside?.id ?? ''])).toBe(1)
  await process.outbox.flush()
  expect(await sent(process)).toEqual([2, 3, 4])
})

test('what comes before a row that is set aside is published', async () => {
  const killed = await killedProcess()
  await push(killed, 1, { key: 'k' })
  await push(killed, 2, { key: 'k' })
  await rows().updateOne({ data: '{"n":2}' }, { $set: { level: 0 } })
  const process = await stage.process({ graceMs: 0 })
  await process.outbox.flush()
  expect(await sent(process)).toEqual([1])
})

test('a row that was mended is published again, before what waits behind it', async () => {
  const killed = await killedProcess()
  await push(killed, 1, { key: 'k' })
  await rows().updateOne({}, { $set: { level: 0 } })
  await push(killed, 2, { key: 'k' })
  const process = await stage.process({ graceMs: 0 })
  await process.outbox.flush()
  expect(await sent(process)).toEqual([])
  await rows().updateOne({ state: 'set-aside' }, { $set: { level: 1 } })
  expect(await process.outbox.setAside.retry()).toBe(1)
  await process.outbox.flush()
  expect(await sent(process)).toEqual([1, 2])
  expect(await process.outbox.setAside.list()).toEqual([])
})

test('a commit goes through while Redis is away, and is published when it is back', async () => {
  await using proxy = await startFaultProxy(inject('redisUrl'))
  const process = await stage.process({ redis: proxy.url, graceMs: 0 })
  await push(process, 1)
  await process.outbox.flush()
  proxy.refuse(true)
  proxy.cut()
  await push(process, 2)
  expect(await rows().countDocuments({ open: true })).toBe(1)
  process.outbox.start()
  proxy.refuse(false)
  await untilSent(await stage.process(), [1, 2])
}, 60_000)

test('the relay that is gone is replaced after its lease, and not before', async () => {
  const killed = await killedProcess()
  await push(killed, 1)
  const leases = stage.plain('strata.outbox.relay')
  const gone = [{ $set: { owner: 'gone', until: { $add: ['$$NOW', 1500] } } }]
  await leases.updateOne({ _id: 'relay' }, gone, { upsert: true })
  const process = await stage.process({ leaseMs: 1000, graceMs: 0, pollMs: 50 })
  process.outbox.start()
  await untilSent(process, [1])
  const lease = await leases.findOne({ $expr: { $gt: ['$until', '$$NOW'] } })
  expect(lease?.['owner']).not.toBe('gone')
})

test('an ordered key whose job never ends holds up no other', async () => {
  const killed = await killedProcess()
  for (let n = 1; n <= 600; n++) await push(killed, n, { key: 'slow', ordered: true })
  await push(killed, 1000, { key: 'other', ordered: true })
  await push(killed, 1001)
  const process = await stage.process({ graceMs: 0 })
  process.outbox.start()
  await untilSent(process, [1, 1000, 1001])
})

test('a flush that cannot end says so in time', async () => {
  const process = await stage.process()
  await push(process, 1, { key: 'k', ordered: true })
  await push(process, 2, { key: 'k', ordered: true })
  const error = await process.outbox.flush({ deadlineMs: 300 }).catch((thrown: unknown) => thrown)
  expect(hasCode(error, 'OUTBOX_FLUSH_TIMEOUT')).toBe(true)
  expect(await process.outbox.backlog()).toMatchObject({ depth: 1, setAside: 0 })
})

test('a push in a transaction of another datasource is refused', async () => {
  const { store } = await stage.process()
  const other = new FakeDatasource()
  const db = createDbContext({ datasources: [other] })
  const outbox = createOutbox({ db, datasource: store })
  const message = { id: 'a', job: 'a', queue: 'a', level: 1, data: '1', options: '{}' }
  const begun = db.run(() => db.transaction.begin(async () => outbox.append(message)))
  await expect(begun).rejects.toMatchObject({ code: 'OUTBOX_ELSEWHERE', outcome: 'not-applied' })
  await db.stop()
})

test('an outbox that no queue was given cannot relay', async () => {
  const { db, store } = await stage.process()
  expect(() => createOutbox({ db, datasource: store }).start()).toThrow(expect.objectContaining({ code: 'CONFIG' }))
})
