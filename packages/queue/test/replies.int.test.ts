import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useRedis, useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
const redis = useRedis()

/** A call whose job has begun and waits for the gate. */
async function heldCall(options: { fail?: boolean; removeOnComplete?: boolean } = {}) {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  const held = gate()
  worker.handle(job, async ({ n }) => {
    await held.wait()
    if (options.fail) throw Object.assign(new RangeError('Too far'), { code: 'FAR' })
    return n
  })
  await worker.start()
  const given = options.removeOnComplete ? { removeOnComplete: true } : {}
  const calling = db.run(() => queues.pushAsync(job, { n: 8 }, given))
  calling.catch(() => {})
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })
  const [stream] = await redis.keys(`${stage.prefix}:~replies:*`)
  return { calling, held, queues, stream: stream ?? '' }
}

async function connectionsNamed(role: string): Promise<string[]> {
  const list = String(await redis.client('LIST'))
  const lines = list.split('\n').filter(line => line.includes(` name=${stage.prefix}:${role} `))
  return lines.map(line => /^id=(\d+)/.exec(line)?.[1] ?? '')
}

test('a reply that comes while its reader is cut off is read after the reconnect', async () => {
  const { calling, held } = await heldCall()
  for (const id of await connectionsNamed('replies')) await redis.client('KILL', 'ID', id)
  held.open()
  expect(await calling).toBe(8)
})

test('a result is found in the record of the job when its reply is lost', async () => {
  const { calling, held, stream } = await heldCall()
  await redis.del(stream)
  held.open()
  expect(await calling).toBe(8)
})

test('an error is found in the record of the job, whole, when its reply is lost', async () => {
  const { calling, held, stream } = await heldCall({ fail: true })
  await redis.del(stream)
  held.open()
  await expect(calling).rejects.toMatchObject({
    code: 'JOB_FAILED',
    details: { code: 'FAR' },
    cause: { name: 'RangeError', message: 'Too far', code: 'FAR' },
  })
})

test('a result whose reply and record are both gone is said to be lost', async () => {
  const { calling, held, stream } = await heldCall({ removeOnComplete: true })
  await redis.del(stream)
  held.open()
  await expect(calling).rejects.toMatchObject({ code: 'RESULT_LOST', outcome: 'unknown' })
})

test('a reply that nobody waits for, or that cannot be read, changes nothing', async () => {
  const { calling, held, stream } = await heldCall()
  await redis.xadd(stream, '*', 'c', 'nobody', 'r', '{"v":1,"ok":true,"value":1}')
  await redis.xadd(stream, '*', 'c', 'nobody')
  await redis.xadd(stream, '*', 'junk', '{')
  held.open()
  expect(await calling).toBe(8)
})

test('the stream keeps no reply that was read, and goes with its process', async () => {
  const { calling, held, queues, stream } = await heldCall()
  held.open()
  await calling
  expect(await redis.ttl(stream)).toBeGreaterThan(0)
  await until(async () => (await redis.xlen(stream)) <= 1, { deadlineMs: 5000, message: 'the stream to be trimmed' })
  await queues.stop()
  expect(await redis.exists(stream)).toBe(0)
})

test('a worker does not bring back the stream of a process that is gone', async () => {
  const { held, queues, stream, calling } = await heldCall()
  await queues.stop({ deadlineMs: 0 })
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  held.open()
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getCompletedCount()) === 1, { deadlineMs: 5000, message: 'the job to end' })
  expect(await redis.exists(stream)).toBe(0)
})

test('a stalled job runs again elsewhere and its call gets the result', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const stalled = { lockDurationMs: 400, stalledIntervalMs: 400 }
  const first = stage.worker(stage.db(), { stalled, lanes: { slots: 1 } })
  first.handle(job, () => new Promise(() => {}))
  await first.start()
  const calling = db.run(() => queues.pushAsync(job, { n: 5 }))
  await until(() => first.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })
  const lane = stage.bullmq('work~1')
  const [active] = await lane.getActive()
  // As if the first worker's process were gone: its lock is, and it cannot renew it.
  await redis.set(`${stage.prefix}:work~1:${active?.id}:lock`, 'another', 'PX', 1)
  const second = stage.worker(stage.db(), { stalled })
  second.handle(job, async ({ n }) => n)
  await second.start()
  expect(await calling).toBe(5)
})
