import { randomUUID } from 'node:crypto'
import { gate, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

test('calls do not queue behind a backlog of pushes of the same job', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), { lanes: { slots: 1 } })
  const opened = gate()
  worker.handle(job, async ({ n }) => {
    if (n === 0) await opened.wait()
    return n
  })
  await worker.start()
  for (let index = 0; index < 5; index += 1) await queues.push(job, { n: 0 })
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'a push to run' })
  expect(await db.run(() => queues.pushAsync(job, { n: 7 }))).toBe(7)
  const [pushes, calls] = await queues.lanes()
  expect(pushes).toMatchObject({ lane: 'work', queue: 'work', level: 1, active: 1, waiting: 4 })
  expect(calls).toMatchObject({ lane: 'work~1', queue: 'work', level: 1, waiting: 0 })
  opened.open()
})

test('a lane opens at its first call, also in a worker that starts later', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const early = stage.worker(stage.db())
  early.handle(job, async ({ n }) => n)
  await early.start()
  await queues.start()
  const channel = createKeys(stage.prefix).lanes
  const heard: string[] = []
  const redis = new Redis(stage.redis)
  const subscriber = new Redis(stage.redis)
  subscriber.on('message', (_, lane) => heard.push(lane))
  await subscriber.subscribe(channel)
  await db.run(() => queues.pushAsync(job, { n: 1 }))
  await until(() => heard.length > 0, { deadlineMs: 10_000, message: 'the lane to be told' })
  expect(heard.map(text => JSON.parse(text))).toEqual([['work~1']])
  // Told and never registered: only the message can have opened it.
  await redis.publish(channel, JSON.stringify(['work~3']))
  const opened = async () => (await early.lanes()).some(({ lane }) => lane === 'work~3')
  await until(opened, { deadlineMs: 10_000, message: 'the lane of the message to open' })
  await Promise.all([redis.quit(), subscriber.quit()])
  await early.stop()
  const later = stage.worker(stage.db())
  later.handle(job, async ({ n }) => -n)
  await later.start()
  expect((await later.lanes()).map(({ lane }) => lane)).toEqual(['work', 'work~1'])
  expect(await db.run(() => queues.pushAsync(job, { n: 1 }))).toBe(-1)
})

test('a worker shares the slots of a lane over several fetchers, exactly', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), { lanes: { slots: 6 } })
  const opened = gate()
  worker.handle(job, async ({ n }) => {
    await opened.wait()
    return n
  })
  await worker.start()
  const calls = Array.from({ length: 20 }, (_, n) => db.run(() => queues.pushAsync(job, { n })))
  await until(() => worker.activities().length === 6, { deadlineMs: 5000, message: 'six calls to run' })
  expect(await worker.lanes()).toContainEqual({
    lane: 'work~1',
    queue: 'work',
    level: 1,
    slots: 6,
    active: 6,
    waiting: 14,
  })
  expect(queues.waiting()).toHaveLength(20)
  expect(queues.waiting()[0]).toMatchObject({ job: 'work', level: 1, lane: 'work~1' })
  opened.open()
  expect(await Promise.all(calls)).toEqual(calls.map((_, n) => n))
})

test('a job added by plain BullMQ runs as a push at level 1', async () => {
  const db = stage.db()
  const worker = stage.worker(db)
  worker.handle(job, async ({ n }) => n + db.current.level)
  await worker.start()
  const queue = stage.bullmq('work')
  const [added] = await queue.addBulk([{ name: 'work', data: { n: 10 } }])
  await until(async () => (await queue.getJob(added?.id ?? ''))?.returnvalue === 11, {
    deadlineMs: 5000,
    message: 'the job to end',
  })
})

describe('an envelope that does not fit its lane is refused', () => {
  const call = { v: 1, kind: 'call', level: 1, chain: [], deadline: 9e12, replyTo: randomUUID(), callId: 'c' }
  const cases = [
    ['a call of another level', 'work~1', { ...call, level: 2 }],
    ['a push in a lane of calls', 'work~1', { v: 1, kind: 'push', level: 1 }],
    ['a call among the pushes', 'work', call],
    ['nothing in a lane of calls', 'work~1', undefined],
    ['a forged address', 'work~1', { ...call, replyTo: 'strata:other:key' }],
    ['no object', 'work', 'push'],
  ] as const
  test.each(cases)('%s', async (_, lane, strata) => {
    const worker = stage.worker(stage.db())
    const ran: number[] = []
    worker.handle(job, async ({ n }) => {
      ran.push(n)
      return n
    })
    await stage.openLane(lane)
    await worker.start()
    const queue = stage.bullmq(lane)
    const options = { attempts: 3, ...(strata === undefined ? {} : { strata }) }
    const added = await queue.add('work', { n: 1 }, options)
    const failed = await until(async () => (await queue.getFailed())[0], {
      deadlineMs: 5000,
      message: 'the job to fail',
    })
    expect(failed).toMatchObject({ id: added.id, attemptsMade: 1 })
    expect(failed?.failedReason).toMatch(/^Envelope of a job in lane work/)
    expect(ran).toEqual([])
  })
})

test('a push to a level deeper than the worker has is refused', async () => {
  const worker = stage.worker(stage.db({ levels: { max: 2 } }))
  worker.handle(job, async ({ n }) => n)
  await worker.start()
  const queue = stage.bullmq('work')
  const options = { attempts: 3, strata: { v: 1, kind: 'push', level: 3 } }
  await queue.add('work', { n: 1 }, options)
  const failed = await until(async () => (await queue.getFailed())[0], {
    deadlineMs: 5000,
    message: 'the job to fail',
  })
  expect(failed?.failedReason).toContain('Level 3 is deeper than levels.max (2)')
})

test('a process that does not agree with those that live on levels or isolation does not start', async () => {
  const worker = stage.worker(stage.db({ levels: { max: 4 } }))
  worker.handle(job, async ({ n }) => n)
  await worker.start()
  for (const other of [stage.db({ levels: { max: 3 } }), stage.db({ isolation: 'none', levels: { max: 4 } })]) {
    const second = stage.worker(other)
    second.handle(job, async ({ n }) => n)
    await expect(second.start()).rejects.toMatchObject({ code: 'CONFIG', outcome: 'not-applied' })
    await expect(stage.queues(other).start()).rejects.toMatchObject({ code: 'CONFIG' })
  }
  await worker.stop()
  const next = stage.worker(stage.db({ levels: { max: 3 } }))
  next.handle(job, async ({ n }) => n)
  await next.start()
})

const other = defineJob({ name: 'other', queue: 'work', input: z.object({}), output: z.string() })

test('a worker without the handler of a job leaves it for one that has it', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const old = stage.worker(stage.db())
  old.handle(job, async ({ n }) => n)
  await old.start()
  const calls = [1, 2, 3].map(() => db.run(() => queues.pushAsync(other, {})))
  await until(async () => (await stage.bullmq('work~1').getDelayedCount()) > 0, {
    deadlineMs: 5000,
    message: 'a job to be put back',
  })
  const next = stage.worker(stage.db())
  next.handle(other, async () => 'new')
  await next.start()
  expect(await Promise.all(calls)).toEqual(['new', 'new', 'new'])
})

test('a job that was put back and then given up was not applied', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(job, async ({ n }) => n)
  await worker.start()
  const giveUp = new AbortController()
  const calling = db.run(() => queues.pushAsync(other, {}, { signal: giveUp.signal }))
  calling.catch(() => {})
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getDelayedCount()) > 0, { deadlineMs: 5000, message: 'the job to be put back' })
  giveUp.abort()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'not-applied' })
  expect(await lane.getDelayedCount()).toBe(0)
})

test('a job that no worker has a handler for is refused after about ten seconds', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(job, async ({ n }) => n)
  await worker.start()
  const calling = db.run(() => queues.pushAsync(other, {}))
  await expect(calling).rejects.toMatchObject({ code: 'HANDLER_MISSING', outcome: 'not-applied' })
})

test('the level is used as it is given, and a level that is not deeper is refused', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const inner = stage.db()
  const worker = stage.worker(inner)
  worker.handle(job, async () => inner.current.level)
  await worker.start()
  expect(await db.run(() => queues.pushAsync(job, { n: 1 }, { dbInfo: { level: 3 } }))).toBe(3)
  for (const [level, code] of [
    [0, 'LEVEL_ORDER'],
    [5, 'LEVEL_LIMIT'],
    [1.5, 'LEVEL_INVALID'],
  ] as const) {
    const calling = db.run(() => queues.pushAsync(job, { n: 1 }, { dbInfo: { level } }))
    await expect(calling).rejects.toMatchObject({ code, outcome: 'not-applied' })
  }
})
