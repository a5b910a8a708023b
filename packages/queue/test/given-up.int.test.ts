import { randomUUID } from 'node:crypto'
import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

const untilRuns = (worker: { activities(): readonly unknown[] }) =>
  until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })

test('a call that is given up aborts the signal of its running job, and of no other', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  const aborted = new Map<number, unknown>()
  const held = gate()
  worker.handle(job, async ({ n }, { signal }) => {
    signal.addEventListener('abort', () => aborted.set(n, signal.reason))
    await held.wait()
    return n
  })
  await worker.start()
  const giveUp = new AbortController()
  const other = db.run(() => queues.pushAsync(job, { n: 1 }))
  const calling = db.run(() => queues.pushAsync(job, { n: 2 }, { signal: giveUp.signal }))
  calling.catch(() => {})
  await until(() => worker.activities().length === 2, { deadlineMs: 5000, message: 'both to begin' })
  giveUp.abort()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  // Within a second by the promise; long before the deadline of 30 s on a machine that is busy.
  await until(() => aborted.has(2), { deadlineMs: 6000, message: 'the signal to be aborted' })
  expect(aborted.get(2)).toMatchObject({ code: 'ABORTED' })
  held.open()
  expect(await other).toBe(1)
  expect(aborted.has(1)).toBe(false)
})

test('a job that was given up while it ran is not run again', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  let runs = 0
  worker.handle(job, async (_, { signal }) => {
    runs += 1
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    throw new Error('given up')
  })
  await worker.start()
  const giveUp = new AbortController()
  const options = { signal: giveUp.signal, attempts: 3 }
  const calling = db.run(() => queues.pushAsync(job, { n: 2 }, options))
  calling.catch(() => {})
  await untilRuns(worker)
  giveUp.abort()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  const lane = stage.bullmq('work~1')
  const failed = await until(async () => (await lane.getFailed())[0], { deadlineMs: 5000, message: 'the job to end' })
  expect(failed?.failedReason).toContain('was given up by its caller')
  expect(runs).toBe(1)
})

test('the job of a caller that is gone is not started, and that of a living one is', async () => {
  const worker = stage.worker(stage.db())
  const ran: number[] = []
  worker.handle(job, async ({ n }) => {
    ran.push(n)
    return n
  })
  const db = stage.db()
  const queues = stage.queues(db)
  const lane = stage.bullmq('work~1')
  const chain = [{ kind: 'run', name: 'run', id: 'r', level: 0 }]
  const base = { v: 1, kind: 'call', level: 1, chain, deadline: 9e12, callId: 'c', replyTo: randomUUID() }
  const addSent = (n: number, sent: number) => {
    const options = { attempts: 1, strata: { ...base, sent } }
    return lane.add('work', { n }, options)
  }
  await addSent(1, Date.now() - 60_000)
  await addSent(2, Date.now())
  await stage.openLane('work~1')
  await worker.start()
  expect(await db.run(() => queues.pushAsync(job, { n: 3 }))).toBe(3)
  const [failed] = await lane.getFailed()
  expect(failed?.failedReason).toContain('has not been heard of')
  await until(() => ran.length === 2, { deadlineMs: 5000, message: 'the others to run' })
  expect(ran.sort()).toEqual([2, 3])
})

test('a handler that ignores its signal loses its slot after the grace, and one that ends in it does not', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), { lanes: { slots: 1 }, graceMs: 300 })
  const late = gate()
  worker.handle(job, async ({ n }, { signal }) => {
    if (n === 0) return n
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    if (n === 1) await new Promise(() => {})
    await late.wait()
    return n
  })
  await worker.start()
  const call = (n: number, deadlineMs: number) => db.run(() => queues.pushAsync(job, { n }, { deadlineMs }))
  await expect(call(1, 200)).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
  // The slot is still held: no more than one runs at once.
  expect(worker.activities()).toHaveLength(1)
  expect(await call(0, 5000)).toBe(0)
  expect(stage.reports.filter(report => report.includes('went on for 300 ms'))).toHaveLength(1)
  await expect(call(2, 200)).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
  late.open()
  expect(await call(0, 5000)).toBe(0)
  expect(stage.reports.filter(report => report.includes('went on for 300 ms'))).toHaveLength(1)
})
