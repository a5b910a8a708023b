import { fileURLToPath } from 'node:url'
import { gate, spawnNode, startFaultProxy, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type PushAsyncOptions, type WorkerOptions } from '../src/index.ts'
import { useRedis, useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const callerFile = fileURLToPath(new URL('process/caller.ts', import.meta.url))

const stage = useStage()
const redis = useRedis()

async function heldWorker(options: Partial<WorkerOptions> = {}) {
  const worker = stage.worker(stage.db(), options)
  const held = gate()
  worker.handle(job, async ({ n }) => {
    await held.wait()
    return n
  })
  await worker.start()
  const untilRuns = () =>
    until(() => worker.activities().length === 1, { deadlineMs: 10_000, message: 'the job to begin' })
  return { worker, held, untilRuns }
}

async function heldCall(options: PushAsyncOptions = {}) {
  const { worker, held, untilRuns } = await heldWorker()
  const db = stage.db()
  const queues = stage.queues(db)
  const calling = db.run(() => queues.pushAsync(job, { n: 1 }, options))
  calling.catch(() => {})
  await untilRuns()
  return { worker, held, calling }
}

async function callerProcess() {
  const caller = await spawnNode(callerFile, { args: [stage.redis, stage.prefix], ipc: true })
  await caller.nextMessage((message): message is string => message === 'ready', 20_000)
  const isEnd = (message: unknown): message is object => typeof message === 'object' && message !== null
  return { caller, end: () => caller.nextMessage(isEnd, 10_000) }
}

test.each([
  ['kept', false],
  ['not kept', true],
])(
  'a process that was paused past the deadline gets the result that came meanwhile, its record %s',
  async (_, gone) => {
    const { worker, held, untilRuns } = await heldWorker()
    const { caller, end } = await callerProcess()
    caller.send({ deadlineMs: 1500, removeOnComplete: gone })
    await untilRuns()
    const begun = performance.now()
    caller.kill('SIGSTOP')
    held.open()
    await until(() => worker.activities().length === 0 && performance.now() - begun > 2000, {
      deadlineMs: 10_000,
      message: 'the deadline to pass',
    })
    caller.kill('SIGCONT')
    expect(await end()).toEqual({ value: 1 })
    caller.kill('SIGKILL')
    await caller.exited
  },
  40_000,
)

test('a job that is removed by hand before it began ends its call, in time', async () => {
  const worker = await heldWorker({ lanes: { slots: 1 } })
  const db = stage.db()
  const queues = stage.queues(db)
  const first = db.run(() => queues.pushAsync(job, { n: 1 }))
  await worker.untilRuns()
  const second = db.run(() => queues.pushAsync(job, { n: 2 }))
  second.catch(() => {})
  const lane = stage.bullmq('work~1')
  const waiting = await until(async () => (await lane.getWaiting())[0], {
    deadlineMs: 5000,
    message: 'the job to wait',
  })
  await waiting?.remove()
  await expect(second).rejects.toMatchObject({ code: 'RESULT_LOST', outcome: 'unknown' })
  worker.held.open()
  expect(await first).toBe(1)
})

test('a job that is removed by hand just before the deadline of its call is lost, not timed out', async () => {
  const worker = await heldWorker({ lanes: { slots: 1 } })
  const db = stage.db()
  const queues = stage.queues(db)
  const first = db.run(() => queues.pushAsync(job, { n: 1 }))
  await worker.untilRuns()
  // Before the second look at its record, which would say the same.
  const second = db.run(() => queues.pushAsync(job, { n: 2 }, { jobId: 'order-7', deadlineMs: 500 }))
  second.catch(() => {})
  const lane = stage.bullmq('work~1')
  const waiting = await until(() => lane.getJob('order-7'), { deadlineMs: 5000, message: 'the job to wait' })
  await waiting?.remove()
  await expect(second).rejects.toMatchObject({ code: 'RESULT_LOST', outcome: 'unknown' })
  worker.held.open()
  expect(await first).toBe(1)
})

test('a result whose record is not kept is found when only the reader of replies has lost its connection', async () => {
  await using proxy = await startFaultProxy(stage.redis)
  const { held, untilRuns } = await heldWorker()
  const db = stage.db()
  const queues = stage.queues(db, { redis: proxy.url })
  await queues.start()
  const calling = db.run(() => queues.pushAsync(job, { n: 1 }, { removeOnComplete: true, deadlineMs: 20_000 }))
  calling.catch(() => {})
  await untilRuns()
  // The second connection that was made: it hears nothing any more, and does not know.
  proxy.connections.find(({ index }) => index === 1)?.blackhole()
  held.open()
  expect(await calling).toBe(1)
  await stage.clear()
}, 30_000)

test('a lane that is obliterated under a running job loses no result', async () => {
  const { held, calling } = await heldCall()
  await stage.bullmq('work~1').obliterate({ force: true })
  held.open()
  expect(await calling).toBe(1)
})

test('a job that BullMQ itself fails, having stalled too often, fails its call', async () => {
  const stalled = { lockDurationMs: 300, stalledIntervalMs: 300, maxStalledCount: 0 }
  const { held, untilRuns } = await heldWorker({ stalled })
  const db = stage.db()
  const queues = stage.queues(db)
  const calling = db.run(() => queues.pushAsync(job, { n: 1 }))
  calling.catch(() => {})
  await untilRuns()
  const [active] = await stage.bullmq('work~1').getActive()
  // As if its worker were gone: the lock is another's and ends.
  await redis.set(`${stage.prefix}:work~1:${active?.id}:lock`, 'another', 'PX', 1)
  await expect(calling).rejects.toMatchObject({ code: 'JOB_FAILED', outcome: 'unknown' })
  held.open()
}, 30_000)

test('a run that has lost its job to another does not fail the call', async () => {
  const stalled = { lockDurationMs: 1000, stalledIntervalMs: 300, maxStalledCount: 3 }
  const worker = stage.worker(stage.db(), { stalled })
  const held = gate()
  worker.handle(job, async ({ n }, { job: { attemptsStarted } }) => {
    if (attemptsStarted > 1) return n
    await held.wait()
    throw new Error('The first run cannot end what it began')
  })
  await worker.start()
  const db = stage.db()
  const queues = stage.queues(db)
  const calling = db.run(() => queues.pushAsync(job, { n: 1 }))
  calling.catch(() => {})
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })
  const [active] = await stage.bullmq('work~1').getActive()
  // As after a pause of its process: the lock has ended, and is another's.
  await redis.set(`${stage.prefix}:work~1:${active?.id}:lock`, 'another', 'PX', 500)
  held.open()
  expect(await calling).toBe(1)
}, 30_000)

test('the waiting job of a process that is killed is not started once its lease has ended', async () => {
  const { caller } = await callerProcess()
  caller.send({ deadlineMs: 60_000 })
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getWaitingCount()) === 1, { deadlineMs: 5000, message: 'the job to wait' })
  caller.kill('SIGKILL')
  await caller.exited
  const killed = performance.now()
  await until(() => performance.now() - killed > 16_000, { deadlineMs: 20_000, message: 'the lease to end' })
  await heldWorker()
  const failed = await until(async () => (await lane.getFailed())[0], { deadlineMs: 5000, message: 'a refusal' })
  expect(failed?.failedReason).toContain('has not been heard of for 15000 ms')
}, 50_000)
