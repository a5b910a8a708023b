import { randomUUID } from 'node:crypto'
import { gate, startFaultProxy, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type PushAsyncOptions } from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import { useRedis, useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
const redis = useRedis()

const untilJoined = (count: number) =>
  until(
    async () => {
      const [key] = await redis.keys(`${stage.prefix}:~claim:*`)
      if (key === undefined) return false
      return (await redis.hkeys(key)).filter(field => field.startsWith('w:')).length === count
    },
    { deadlineMs: 5000, message: `${count} calls to wait for one job` },
  )

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
  return { worker, opened, ran, db, callers, call, untilRuns }
}

test.each([
  ['job id', { jobId: 'order-7' }],
  ['deduplication id', { deduplication: { id: 'order-7' } }],
])('calls with one %s share one job, also from another process', async (_, options) => {
  const { opened, ran, call, untilRuns } = await held()
  const calls = [call(1, options)]
  await untilRuns()
  calls.push(call(2, options), call(3, options, 1))
  await untilJoined(3)
  opened.open()
  expect(await Promise.all(calls)).toEqual([1, 1, 1])
  expect(ran).toEqual([1])
  // By replies, not by looks at the record: each process was sent those of its calls, beside the greeting of its stream.
  const streams = await redis.keys(`${stage.prefix}:~replies:*`)
  const newest = await Promise.all(streams.map(key => redis.xinfo('STREAM', key) as Promise<unknown[]>))
  const added = newest.map(info => Number(info[info.indexOf('entries-added') + 1]))
  expect(added.sort()).toEqual([2, 3])
})

test('calls with one id at the same moment share one job', async () => {
  const { opened, ran, call } = await held()
  const calls = [0, 1, 0, 1].map((by, n) => call(n, { jobId: 'order-7' }, by))
  await untilJoined(4)
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
  const { opened, call, untilRuns } = await held()
  const giveUp = new AbortController()
  const first = call(1, { jobId: 'order-7', signal: giveUp.signal })
  await untilRuns()
  const second = call(2, { jobId: 'order-7' }, 1)
  await untilJoined(2)
  giveUp.abort()
  await expect(first).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  opened.open()
  expect(await second).toBe(1)
})

test.each([
  ['the call that sent it', [1, 0]],
  ['one that joined it', [0, 1]],
])('a job is aborted when all have given it up, the last of them %s', async (_, order) => {
  const worker = stage.worker(stage.db())
  const aborted: unknown[] = []
  const held = gate()
  worker.handle(job, async ({ n }, { signal }) => {
    signal.addEventListener('abort', () => aborted.push(signal.reason))
    await held.wait()
    return n
  })
  await worker.start()
  const db = stage.db()
  const signals = [new AbortController(), new AbortController()]
  const calls = []
  for (const [n, { signal }] of signals.entries()) {
    const queues = stage.queues(db)
    const calling = db.run(() => queues.pushAsync(job, { n }, { jobId: 'order-7', signal }))
    calling.catch(() => {})
    calls.push(calling)
    await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })
    await untilJoined(n + 1)
  }
  for (const [at, by] of order.entries()) {
    signals[by]?.abort()
    await expect(calls[by]).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
    if (at === 0) expect(aborted).toEqual([])
  }
  await until(() => aborted.length === 1, { deadlineMs: 5000, message: 'the signal to be aborted' })
  expect(aborted).toMatchObject([{ code: 'ABORTED' }])
  held.open()
})

test('calls of one id in a lane that nobody serves are all told so, after two seconds', async () => {
  const db = stage.db()
  const calls = [0, 1].map(n => {
    const queues = stage.queues(db)
    return db.run(() => queues.pushAsync(job, { n }, { jobId: 'order-7', deadlineMs: 20_000 }))
  })
  const begun = performance.now()
  const ends = await Promise.allSettled(calls)
  const reason = expect.objectContaining({ code: 'LANE_UNSERVED', outcome: 'not-applied' })
  expect(ends).toEqual([0, 1].map(() => ({ status: 'rejected', reason })))
  expect(performance.now() - begun).toBeGreaterThan(2000)
  expect(await stage.bullmq('work~1').getWaitingCount()).toBe(0)
})

test('a job of a chosen id is not started once all that waited for it are gone, and is while one lives', async () => {
  const worker = stage.worker(stage.db())
  const ran: number[] = []
  worker.handle(job, async ({ n }) => {
    ran.push(n)
    return n
  })
  const living = stage.queues(stage.db())
  await living.start()
  const [process = ''] = await redis.hkeys(`${stage.prefix}:~processes`)
  const lane = stage.bullmq('work~1')
  const chain = [{ kind: 'run', name: 'run', id: 'r', level: 0 }]
  const sent = Date.now() - 60_000
  const strata = { v: 1, kind: 'call', level: 1, chain, deadline: 9e12, callId: 'c', replyTo: randomUUID(), sent }
  const add = async (n: number, waiting: string) => {
    const options = { jobId: `order-${n}`, strata: { ...strata, claim: `j:order-${n}` } }
    await lane.add('work', { n }, options)
    const key = createKeys(stage.prefix).claim('work', `j:order-${n}`)
    await redis.hset(key, { job: `order-${n}`, lane: 'work~1', level: 1, 'w:c': strata.replyTo, 'w:d': waiting })
  }
  await add(1, randomUUID())
  await add(2, process)
  await stage.openLane('work~1')
  await worker.start()
  await until(async () => (await lane.getCompletedCount()) === 1, { deadlineMs: 5000, message: 'the second to end' })
  await until(async () => (await lane.getFailedCount()) === 1, { deadlineMs: 5000, message: 'the first to be refused' })
  expect((await lane.getFailed())[0]?.failedReason).toContain('has not been heard of')
  expect(ran).toEqual([2])
})

test('a call that is given up while its id is claimed does not say that the job it may share was not applied', async () => {
  await using proxy = await startFaultProxy(stage.redis)
  const { opened, call, untilRuns, db } = await held()
  const first = call(1, { jobId: 'order-7' })
  await untilRuns()
  const queues = stage.queues(db, { redis: proxy.url })
  await queues.start()
  const giveUp = new AbortController()
  proxy.pause()
  const second = db.run(() => queues.pushAsync(job, { n: 2 }, { jobId: 'order-7', signal: giveUp.signal }))
  second.catch(() => {})
  await until(() => queues.waiting().length === 1, { deadlineMs: 5000, message: 'the call to be sent' })
  giveUp.abort()
  await expect(second).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  proxy.resume()
  // Its claim is run now, and then left: the job is the first's alone.
  await queues.lanes()
  await untilJoined(1)
  opened.open()
  expect(await first).toBe(1)
  await stage.clear()
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
