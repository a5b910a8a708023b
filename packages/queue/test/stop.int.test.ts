import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createQueues, createWorker, defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const inner = defineJob({ name: 'inner', input: z.object({}), output: z.number() })
const outer = defineJob({ name: 'outer', input: z.object({}), output: z.number() })

const stage = useStage()

/** A push that runs, and calls `inner` in the same worker once the gate is open. */
async function awaitingPush() {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(db, { lanes: { slots: 1 } })
  const held = gate()
  worker.handle(inner, async () => 3)
  worker.handle(outer, async () => {
    await held.wait()
    return await queues.pushAsync(inner, {}, { deadlineMs: 5000 })
  })
  await worker.start()
  const pushed = await queues.push(outer, {})
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the push to run' })
  return { queues, worker, held, pushed }
}

test('a stop serves what running jobs await, on lanes that it has yet to open', async () => {
  const { worker, held, pushed } = await awaitingPush()
  const watcher = stage.queues(stage.db())
  const stopping = worker.stop({ deadlineMs: 8000 })
  held.open()
  expect(await pushed.result()).toBe(3)
  await stopping
  expect((await watcher.lanes()).every(({ slots }) => slots === 0)).toBe(true)
})

test('with all lanes closed at once the same stop waits until its deadline', async () => {
  const { worker, held } = await awaitingPush()
  const begun = performance.now()
  const stopping = worker.stop({ deadlineMs: 1000, unsafeAllAtOnce: true })
  held.open()
  await stopping
  expect(performance.now() - begun).toBeGreaterThan(990)
})

test('a job that runs past the deadline of a stop is aborted and another worker runs it', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  const reasons: unknown[] = []
  worker.handle(inner, async (_, { signal }) => {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    reasons.push(signal.reason)
    throw new Error('given up')
  })
  await worker.start()
  const calling = db.run(() => queues.pushAsync(inner, {}))
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the call to run' })
  await worker.stop({ deadlineMs: 50 })
  expect(reasons).toHaveLength(1)
  expect(worker.activities()).toEqual([])
  const second = stage.worker(stage.db())
  second.handle(inner, async () => 4)
  await second.start()
  expect(await calling).toBe(4)
})

test('stopped queues give up the calls that wait and take no more', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  await queues.start()
  const calling = db.run(() => queues.pushAsync(inner, {}))
  calling.catch(() => {})
  await until(() => queues.waiting().length === 1, { deadlineMs: 5000, message: 'the call to wait' })
  await queues.stop({ deadlineMs: 100 })
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'not-applied' })
  expect(queues.waiting()).toEqual([])
  await expect(db.run(() => queues.pushAsync(inner, {}))).rejects.toMatchObject({ code: 'QUEUE_STOPPED' })
  await expect(queues.push(inner, {})).rejects.toMatchObject({ code: 'QUEUE_STOPPED' })
})

test('stopping waits for the calls that still end', async () => {
  const { queues, worker, held } = await awaitingPush()
  const db = stage.db()
  const own = stage.queues(db)
  const calling = db.run(() => own.pushAsync(outer, {}))
  await until(() => worker.activities().length === 2, { deadlineMs: 5000, message: 'the call to run' })
  const stopping = own.stop()
  held.open()
  expect(await calling).toBe(3)
  await stopping
  expect(queues.waiting()).toEqual([])
})

test('a second stop cuts the first short, and running jobs are handed back', async () => {
  const { worker, held, pushed } = await awaitingPush()
  const stopping = worker.stop({ deadlineMs: 30_000 })
  const begun = performance.now()
  await worker.stop({ deadlineMs: 0 })
  await stopping
  // Long before the deadline of the first one.
  expect(performance.now() - begun).toBeLessThan(15_000)
  held.open()
  const db = stage.db()
  const second = stage.worker(db)
  second.handle(outer, async () => 7)
  await second.start()
  expect(await pushed.result()).toBe(7)
})

test('stop may be called twice, before the start, and by `await using`', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(db)
  await Promise.all([queues.stop(), queues.stop(), worker.stop(), worker.stop()])
  await expect(worker.start()).rejects.toMatchObject({ code: 'QUEUE_STOPPED' })
  await expect(queues.start()).rejects.toMatchObject({ code: 'QUEUE_STOPPED' })
  await using started = createWorker({ db, redis: stage.redis, prefix: stage.prefix })
  started.handle(inner, async () => 1)
  await started.start()
  await started.start()
})

test('a Redis that is not there is told, within seconds', async () => {
  const db = stage.db()
  const redis = 'redis://127.0.0.1:1'
  const reports: unknown[] = []
  const report = (error: unknown) => void reports.push(error)
  await using queues = createQueues({ db, redis, report })
  const worker = createWorker({ db, redis, report })
  worker.handle(inner, async () => 1)
  const begun = performance.now()
  const unreachable = { code: 'REDIS_UNREACHABLE', outcome: 'not-applied', cause: { code: 'ECONNREFUSED' } }
  await Promise.all([
    expect(db.run(() => queues.pushAsync(inner, {}))).rejects.toMatchObject(unreachable),
    expect(queues.push(inner, {})).rejects.toMatchObject(unreachable),
    expect(worker.start()).rejects.toMatchObject(unreachable),
    expect(db.run(() => queues.pushAsync(inner, {}, { deadlineMs: 100 }))).rejects.toMatchObject({
      code: 'CALL_TIMEOUT',
      outcome: 'not-applied',
    }),
  ])
  // The promise is five seconds; a call would wait for its deadline of 30 s.
  expect(performance.now() - begun).toBeLessThan(15_000)
})

test('a set-up that cannot work is refused', async () => {
  const db = stage.db()
  const worker = stage.worker(db)
  worker.handle(inner, async () => 1)
  expect(() => worker.handle(inner, async () => 1)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  expect(() => stage.worker(db, { lanes: { slots: 0 } })).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  expect(() => stage.queues(db, { redis: { keyPrefix: 'x' } })).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  await worker.start()
  expect(() => worker.handle(outer, async () => 1)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
})
