import { gate, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import { useStage } from './stage.ts'

const work = { name: 'work', input: z.object({}), output: z.number() }
const job = defineJob(work)
const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500 }

const stage = useStage()

/** A job whose check takes until the gate opens where a worker makes it, and a call of it that is being checked. */
async function beingChecked() {
  const held = gate()
  const checking = gate()
  const check = async () => {
    checking.open()
    await held.wait(20_000)
    return true
  }
  const checked = defineJob({ ...work, input: work.input.refine(check) })
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), { stalled })
  let begun = 0
  worker.handle(checked, async () => {
    begun += 1
    return 1
  })
  await worker.start()
  await queues.start()
  const giveUp = new AbortController()
  const calling = db.run(() => queues.pushAsync(job, {}, { deadlineMs: 25_000, signal: giveUp.signal }))
  calling.catch(() => {})
  await checking.wait(10_000)
  return { worker, calling, giveUp, held, begun: () => begun }
}

test('a job whose input is still being checked when its worker hands back is not begun there, and runs elsewhere', async () => {
  const { worker, calling, held, begun } = await beingChecked()
  await worker.stop({ deadlineMs: 0 })
  held.open()
  const other = stage.worker(stage.db(), { stalled })
  other.handle(job, async () => 2)
  await other.start()
  expect(await calling).toBe(2)
  expect(begun()).toBe(0)
}, 40_000)

test('a job that is given up while its input is checked is not begun', async () => {
  const { calling, giveUp, held, begun } = await beingChecked()
  giveUp.abort()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED' })
  // Entries are read in their order: the worker that tells of this one has read those before it.
  const redis = new Redis(stage.redis)
  await redis.xadd(createKeys(stage.prefix).cancelled, '*', 'x', 'no call')
  const isRead = () => stage.reports.some(report => report.includes('names no call that was given up'))
  await until(isRead, { deadlineMs: 10_000, message: 'the worker to hear of it' })
  held.open()
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getFailedCount()) === 1, { deadlineMs: 10_000, message: 'the job to end' })
  expect(begun()).toBe(0)
  await redis.quit()
}, 40_000)
