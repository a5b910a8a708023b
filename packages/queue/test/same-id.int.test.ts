import { gate, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type PushAsyncOptions } from '../src/index.ts'
import { Stage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

let stage: Stage
let redis: Redis

beforeEach(() => {
  stage = new Stage()
  redis = new Redis(stage.redis)
})

afterEach(async () => {
  await stage.clear()
  await redis.quit()
})

/** A worker whose handler waits for the gate, and callers as if in processes of their own. */
async function held(run: (n: number) => Promise<number> = async n => n) {
  const opened = gate()
  const worker = stage.worker(stage.db())
  const ran: number[] = []
  worker.handle(job, async ({ n }) => {
    ran.push(n)
    await opened.wait()
    return await run(n)
  })
  await worker.start()
  const db = stage.db()
  const callers = [stage.queues(db), stage.queues(db)]
  const call = (n: number, options: PushAsyncOptions, by = 0) => {
    const calling = db.run(() => callers[by]?.pushAsync(job, { n }, options) ?? Promise.reject(new Error('no caller')))
    calling.catch(() => {})
    return calling
  }
  const untilRuns = () => until(() => ran.length > 0, { deadlineMs: 5000, message: 'the job to begin' })
  const untilWait = (count: number) =>
    until(
      async () => {
        const [key] = await redis.keys(`${stage.prefix}:~claim:*`)
        if (key === undefined) return false
        return (await redis.hkeys(key)).filter(field => field.startsWith('w:')).length === count
      },
      { deadlineMs: 5000, message: `${count} calls to wait for one job` },
    )
  return { worker, opened, ran, db, callers, call, untilRuns, untilWait }
}

test.each([
  ['job id', { jobId: 'order-7' }],
  ['deduplication id', { deduplication: { id: 'order-7' } }],
])('calls with one %s share one job, also from another process', async (_, options) => {
  const { opened, ran, call, untilRuns, untilWait } = await held()
  const calls = [call(1, options)]
  await untilRuns()
  calls.push(call(2, options), call(3, options, 1))
  await untilWait(3)
  const begun = performance.now()
  opened.open()
  expect(await Promise.all(calls)).toEqual([1, 1, 1])
  // By replies, not by looks at the record.
  expect(performance.now() - begun).toBeLessThan(1500)
  expect(ran).toEqual([1])
})

test('calls with one id at the same moment share one job', async () => {
  const { opened, ran, call, untilWait } = await held()
  const calls = [0, 1, 0, 1].map((by, n) => call(n, { jobId: 'order-7' }, by))
  await untilWait(4)
  opened.open()
  const results = await Promise.all(calls)
  expect(results).toEqual(calls.map(() => ran[0]))
  expect(ran).toHaveLength(1)
})

test('a completed job is handed back by its job id, and a deduplication id is free again', async () => {
  const { opened, ran, call } = await held()
  opened.open()
  expect(await call(1, { jobId: 'order-7' })).toBe(1)
  await until(async () => (await stage.bullmq('work~1').getCompletedCount()) === 1, {
    deadlineMs: 5000,
    message: 'the job to be recorded',
  })
  expect(await call(2, { jobId: 'order-7' }, 1)).toBe(1)
  expect(await call(3, { deduplication: { id: 'order-7' } })).toBe(3)
  expect(await call(4, { deduplication: { id: 'order-7' } })).toBe(4)
  expect(ran).toEqual([1, 3, 4])
})

test('the error of an old job is not handed back as the end of a new call', async () => {
  const { opened, call } = await held(async n => {
    if (n === 1) throw new RangeError('not yet')
    return n
  })
  opened.open()
  await expect(call(1, { jobId: 'order-7' })).rejects.toMatchObject({ code: 'JOB_FAILED' })
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getFailedCount()) === 1, { deadlineMs: 5000, message: 'the end to be recorded' })
  expect(await call(2, { jobId: 'order-7' })).toBe(2)
  expect(await lane.getFailedCount()).toBe(0)
})

test('a call does not wait for a job of its id that is not deeper, nor for a push', async () => {
  const { opened, db, callers, call, untilRuns } = await held()
  const first = call(1, { jobId: 'order-7' })
  await untilRuns()
  const deeper = db.run(() =>
    db.switchDb(async () => await callers[1]?.pushAsync(job, { n: 2 }, { jobId: 'order-7' }), { level: 1 }),
  )
  await expect(deeper).rejects.toMatchObject({
    code: 'DUPLICATE_CALL',
    outcome: 'not-applied',
    details: { level: 2, first: { level: 1, lane: 'work~1' } },
  })
  await callers[0]?.push(job, { n: 3 }, { jobId: 'order-8' })
  await expect(call(4, { jobId: 'order-8' })).rejects.toMatchObject({
    code: 'DUPLICATE_CALL',
    details: { first: { level: 0, lane: 'work' } },
  })
  // Deeper than the caller needs is deep enough.
  const deep = call(5, { jobId: 'order-9', dbInfo: { level: 3 } })
  await until(async () => (await redis.keys(`${stage.prefix}:~claim:*`)).length === 2, {
    deadlineMs: 5000,
    message: 'the second id to be claimed',
  })
  const joined = call(6, { jobId: 'order-9' }, 1)
  opened.open()
  expect(await Promise.all([first, deep, joined])).toEqual([1, 5, 5])
})

test('a call that is given up leaves the job to those that still wait for it', async () => {
  const { opened, call, untilRuns, untilWait } = await held()
  const giveUp = new AbortController()
  const first = call(1, { jobId: 'order-7', signal: giveUp.signal })
  await untilRuns()
  const second = call(2, { jobId: 'order-7' }, 1)
  await untilWait(2)
  giveUp.abort()
  await expect(first).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  opened.open()
  expect(await second).toBe(1)
})

test('ids and deduplication that cannot work on a call are refused', async () => {
  const { call } = await held()
  const options: PushAsyncOptions[] = [
    { jobId: 'a:b' },
    { jobId: '42' },
    { jobId: 'x'.repeat(257) },
    { jobId: 'x', deduplication: { id: 'y' } },
    { deduplication: { id: '' } },
    { deduplication: { id: 'x', ttl: 100 } },
    { deduplication: { id: 'x', replace: true } },
    { deduplication: { id: 'x', keepLastIfActive: true } },
  ]
  for (const refused of options) {
    await expect(call(1, refused)).rejects.toMatchObject({ code: 'OPTION_REFUSED', outcome: 'not-applied' })
  }
})
