import { gate, until } from '@strata/testkit'
import { FlowProducer, QueueEvents } from 'bullmq'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createWorker, defineJob, type WorkerOptions } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

async function working(options: Partial<WorkerOptions> = {}) {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), options)
  const ran: number[] = []
  const starts: number[] = []
  worker.handle(job, async ({ n }, { job: running }) => {
    starts.push(performance.now())
    ran.push(n)
    await running.updateProgress({ half: n / 2 })
    await running.log(`ran ${n}`)
    return n
  })
  await worker.start()
  return { db, queues, worker, ran, starts }
}

const untilRan = (ran: readonly number[], count: number) =>
  until(() => ran.length === count, { deadlineMs: 10_000, message: `${count} jobs to run` })

test('jobs that are added in bulk run, in order', async () => {
  const { queues, ran } = await working({ lanes: { slots: 1 } })
  const bulk = Array.from({ length: 50 }, (_, n) => ({ name: 'work', data: { n } }))
  await queues.queue(job).addBulk(bulk)
  await untilRan(ran, 50)
  expect(ran).toEqual(bulk.map(({ data }) => data.n))
})

test('progress, logs and events of a push are BullMQ’s', async () => {
  const { queues } = await working()
  const url = new URL(stage.redis)
  const connection = { host: url.hostname, port: Number(url.port) }
  const events = new QueueEvents('work', { connection, prefix: stage.prefix })
  await events.waitUntilReady()
  const seen: unknown[] = []
  events.on('progress', ({ data }) => seen.push(data))
  events.on('completed', ({ returnvalue }) => seen.push(returnvalue))
  const pushed = await queues.push(job, { n: 4 }, { delay: 50 })
  await until(() => seen.length === 2, { deadlineMs: 5000, message: 'both events' })
  expect(seen).toEqual([{ half: 2 }, 4])
  expect((await queues.queue(job).getJobLogs(pushed.id)).logs).toEqual(['ran 4'])
  await events.close()
})

test('events and progress of a call are those of its lane', async () => {
  const { db, queues } = await working()
  const events = new QueueEvents('work~1', { connection: { url: stage.redis }, prefix: stage.prefix })
  await events.waitUntilReady()
  const seen: unknown[] = []
  events.on('progress', ({ data }) => seen.push(data))
  events.on('completed', ({ jobId, returnvalue }) => seen.push([jobId, returnvalue]))
  expect(await db.run(() => queues.pushAsync(job, { n: 4 }, { jobId: 'mine' }))).toBe(4)
  await until(() => seen.length === 2, { deadlineMs: 5000, message: 'both events' })
  expect(seen).toEqual([{ half: 2 }, ['mine', 4]])
  await events.close()
})

test('pushes run by their priority, and a delayed one not before its time', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const begun = performance.now()
  await queues.push(job, { n: 1 }, { delay: 700 })
  for (const priority of [9, 5, 7]) await queues.push(job, { n: priority }, { priority })
  await queues.push(job, { n: 0 })
  const ran: number[] = []
  const worker = stage.worker(db, { lanes: { slots: 1 } })
  let delayedAt = 0
  worker.handle(job, async ({ n }) => {
    if (n === 1) delayedAt = performance.now()
    else ran.push(n)
    return n
  })
  await worker.start()
  await until(() => delayedAt > 0, { deadlineMs: 10_000, message: 'the delayed push to run' })
  await untilRan(ran, 4)
  expect(ran).toEqual([0, 5, 7, 9])
  expect(delayedAt - begun).toBeGreaterThan(690)
})

test('the attempts of a push, and the pauses between them, are those of its contract', async () => {
  const { name, input, output } = job
  const tried = defineJob({ name, input, output, attempts: 3, backoff: { type: 'exponential', delay: 100 } })
  const queues = stage.queues(stage.db())
  const worker = stage.worker(stage.db())
  const starts: number[] = []
  worker.handle(tried, async ({ n }) => {
    starts.push(performance.now())
    if (starts.length < 3) throw new Error('Not yet')
    return n
  })
  await worker.start()
  const pushed = await queues.push(tried, { n: 8 })
  expect(await pushed.result()).toBe(8)
  const [first = 0, second = 0, third = 0] = starts
  expect(second - first).toBeGreaterThan(95)
  expect(third - second).toBeGreaterThan(195)
})

test('BullMQ’s own queue and job are there: counts, records, numbers for Prometheus', async () => {
  const { queues, ran } = await working()
  const queue = queues.queue(job)
  const { id } = await queues.push(job, { n: 2 })
  await untilRan(ran, 1)
  const isRecorded = async () => (await queue.getJobCounts('completed'))['completed'] === 1
  await until(isRecorded, { deadlineMs: 5000, message: 'the end to be recorded' })
  expect(await queue.getJob(id)).toMatchObject({ id, name: 'work', data: { n: 2 }, returnvalue: 2 })
  expect(await queue.exportPrometheusMetrics()).toContain('bullmq_job_count{queue="work", state="completed"} 1')
})

test('a scheduler adds jobs, which run as pushes', async () => {
  const { queues, ran } = await working()
  await queues.queue(job).upsertJobScheduler('often', { every: 100, limit: 3 }, { name: 'work', data: { n: 9 } })
  await untilRan(ran, 3)
  expect(ran).toEqual([9, 9, 9])
})

test('a flow runs children before their parent', async () => {
  const { ran } = await working({ lanes: { slots: 1 } })
  const url = new URL(stage.redis)
  const flows = new FlowProducer({ connection: { host: url.hostname, port: Number(url.port) }, prefix: stage.prefix })
  const child = (n: number) => ({ name: 'work', queueName: 'work', data: { n } })
  await flows.add({ name: 'work', queueName: 'work', data: { n: 3 }, children: [child(1), child(2)] })
  await untilRan(ran, 3)
  expect(ran[2]).toBe(3)
  await flows.close()
})

test('pausing a job pauses its pushes, and its calls go on', async () => {
  const { db, queues, ran } = await working()
  const queue = queues.queue(job)
  await queue.pause()
  await queues.push(job, { n: 1 })
  expect(await db.run(() => queues.pushAsync(job, { n: 2 }))).toBe(2)
  expect(ran).toEqual([2])
  await queue.resume()
  await untilRan(ran, 2)
})

test('a rate limit and slots hold for each lane of a queue on its own', async () => {
  const limiter = { max: 2, durationMs: 3000 }
  const lanes = { slots: 3, queues: { work: { slots: 2, limiter } } }
  const { db, queues, worker, starts } = await working({ lanes })
  for (const n of [1, 2, 3]) await queues.push(job, { n })
  await Promise.all([1, 2].map(n => db.run(() => queues.pushAsync(job, { n }))))
  // The calls do not share the limit of the pushes, of which the third still has to wait.
  expect(starts).toHaveLength(4)
  await until(() => starts.length === 5, { deadlineMs: 15_000, message: 'the third push to run' })
  expect((starts.at(-1) ?? 0) - (starts[0] ?? 0)).toBeGreaterThan(2000)
  expect((await worker.lanes()).map(({ slots }) => slots)).toEqual([2, 2])
})

test('attempts with backoff: a call ends with the last attempt', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  const attempts: number[] = []
  worker.handle(job, async ({ n }, { job: running }) => {
    attempts.push(running.attemptsMade)
    if (attempts.length < 3) throw new Error('not yet')
    return n
  })
  await worker.start()
  const options = { attempts: 3, backoff: { type: 'fixed', delay: 20 } }
  expect(await db.run(() => queues.pushAsync(job, { n: 5 }, options))).toBe(5)
  expect(attempts).toEqual([0, 1, 2])
})

test('a job starts as soon as it is fetched, also beside one that runs', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), { lanes: { slots: 8 } })
  const held = gate()
  worker.handle(job, async ({ n }) => {
    if (n < 8) await held.wait()
    return n
  })
  await worker.start()
  const calls = Array.from({ length: 8 }, (_, n) => db.run(() => queues.pushAsync(job, { n })))
  await until(() => worker.activities().length === 8, { deadlineMs: 5000, message: 'all slots to be taken' })
  held.open()
  await Promise.all(calls)
  const begun = performance.now()
  for (let n = 8; n < 40; n += 1) expect(await db.run(() => queues.pushAsync(job, { n }))).toBe(n)
  // BullMQ looks for a job by itself every five seconds: calls that waited for that would take 160 s.
  expect(performance.now() - begun).toBeLessThan(20_000)
})

test('lane settings that cannot work are refused', () => {
  const db = stage.db()
  const wrong = [
    { slots: 0 },
    { queues: { work: { slots: 1.5 } } },
    { limiter: { max: 0, durationMs: 10 } },
    { queues: { work: { limiter: { max: 1, durationMs: Number.NaN } } } },
  ]
  for (const lanes of wrong) {
    expect(() => createWorker({ db, redis: stage.redis, lanes })).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  }
})
