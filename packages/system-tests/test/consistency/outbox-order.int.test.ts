import { defineJob, type JobDefinition } from '@strata/queue'
import { startRedis, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type Process, useStage } from './stage.ts'

const shape = { input: z.object({ n: z.number() }), output: z.number() }
const first = defineJob({ name: 'first', ...shape })
const second = defineJob({ name: 'second', ...shape })

const stage = useStage()
const rows = () => stage.plain('strata.outbox')

const push = (
  { db, queues }: Process,
  job: typeof first,
  [n, options]: readonly [number, { key?: string; ordered?: boolean }],
) => db.run(() => db.transaction.begin(() => queues.push(job, { n }, options)))

const countOf = ({ queues }: Process, job: JobDefinition) => queues.queue(job).getJobCountByTypes()

/** A process that commits and then, as far as the outbox goes, is gone. */
async function killedProcess() {
  const process = await stage.process()
  await process.outbox.stop()
  return process
}

test('a row that its queue refuses holds up what its key has in other queues', async () => {
  const killed = await killedProcess()
  await push(killed, first, [1, { key: 'k' }])
  await rows().updateOne({}, { $set: { options: '{"priority":1e9}' } })
  await push(killed, second, [2, { key: 'k' }])
  await push(killed, second, [3, { key: 'other' }])
  const process = await stage.process({ graceMs: 0 })
  await process.outbox.flush()
  expect([await countOf(process, first), await countOf(process, second)]).toEqual([0, 1])
  const [aside] = await process.outbox.setAside.list()
  await process.outbox.setAside.drop([aside?.id ?? ''])
  await process.outbox.flush()
  expect(await countOf(process, second)).toBe(2)
})

test('a Redis that queues refuse to start on sets no row aside', async () => {
  const killed = await killedProcess()
  await push(killed, first, [1, {}])
  const args = ['--maxmemory-policy', 'allkeys-lru']
  await using wrong = await startRedis({ private: true, redisArgs: args, report: () => {} })
  const refused = await stage.process({ redis: wrong.url, graceMs: 0 })
  await expect(refused.outbox.flush({ deadlineMs: 500 })).rejects.toMatchObject({
    code: 'OUTBOX_FLUSH_TIMEOUT',
    cause: { code: 'SEND_FAILED', transient: true, cause: { code: 'REDIS_SETTING' } },
  })
  expect(await refused.outbox.backlog()).toMatchObject({ depth: 1, setAside: 0 })
  const process = await stage.process({ graceMs: 0 })
  await process.outbox.flush()
  expect(await countOf(process, first)).toBe(1)
})

test('however many keys wait for jobs that nobody serves, the rest is relayed', async () => {
  const killed = await killedProcess()
  await killed.db.run(() =>
    killed.db.transaction.begin(async () => {
      for (let n = 0; n < 1400; n++) await killed.queues.push(first, { n }, { key: `k${n % 700}`, ordered: true })
    }),
  )
  await push(killed, second, [1, {}])
  const process = await stage.process({ graceMs: 0 })
  process.outbox.start()
  await until(async () => (await countOf(process, second)) === 1, {
    deadlineMs: 20_000,
    message: 'the job behind them',
  })
  expect(await countOf(process, first)).toBe(700)
})

test('however large the rows of a key that waits are, the rest is relayed', async () => {
  const killed = await killedProcess()
  const large = { ...first, input: z.object({ n: z.number(), text: z.string() }) }
  const text = 'x'.repeat(900_000)
  for (let n = 0; n < 11; n++) {
    await killed.db.run(() =>
      killed.db.transaction.begin(() => killed.queues.push(large, { n, text }, { key: 'k', ordered: true })),
    )
  }
  await push(killed, second, [1, {}])
  const process = await stage.process({ graceMs: 0 })
  process.outbox.start()
  await until(async () => (await countOf(process, second)) === 1, {
    deadlineMs: 20_000,
    message: 'the job behind them',
  })
  expect(await countOf(process, first)).toBe(1)
})

test('a process that commits and relays at once does both without a word', async () => {
  const killed = await killedProcess()
  for (let n = 0; n < 50; n++) await push(killed, first, [n, {}])
  const process = await stage.process({ graceMs: 0, pollMs: 10 })
  process.outbox.start()
  await Promise.all(Array.from({ length: 50 }, (_, n) => push(process, second, [n, {}])))
  await process.outbox.flush()
  expect([await countOf(process, first), await countOf(process, second)]).toEqual([50, 50])
  expect(stage.reports).toEqual([])
})

test('a lease that lies further ahead than any can is free: the clock was set back', async () => {
  const killed = await killedProcess()
  await push(killed, first, [1, {}])
  const leases = stage.plain('strata.outbox.relay')
  const ahead = [{ $set: { owner: 'gone', ms: 1000, until: { $add: ['$$NOW', 3_600_000] } } }]
  await leases.updateOne({ _id: 'relay' }, ahead, { upsert: true })
  const process = await stage.process({ leaseMs: 1000, graceMs: 0, pollMs: 50 })
  process.outbox.start()
  await until(async () => (await countOf(process, first)) === 1, {
    deadlineMs: 10_000,
    message: 'the row to be relayed',
  })
})
