import { randomUUID } from 'node:crypto'
import { until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
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

const good = { name: 'work', data: '{"n":1}', opts: '{"attempts":0}', timestamp: '1', priority: '0', delay: '0' }

/** Puts a job into a lane as no client of BullMQ would: its record field by field. */
async function plant(lane: string, id: string, fields: Record<string, string>): Promise<void> {
  const base = `${stage.prefix}:${lane}`
  if (Object.keys(fields).length > 0) await redis.hset(`${base}:${id}`, fields)
  await redis.multi().lpush(`${base}:wait`, id).zadd(`${base}:marker`, 0, '0').exec()
}

async function serving() {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db(), { stalled: { lockDurationMs: 1000, stalledIntervalMs: 1000 } })
  const ran: number[] = []
  worker.handle(job, async ({ n }) => {
    ran.push(n)
    return n
  })
  await stage.openLane('work~1')
  await worker.start()
  const call = (n: number) => db.run(() => queues.pushAsync(job, { n }, { deadlineMs: 10_000 }))
  return { queues, worker, ran, call }
}

const envelope = (more: object) => {
  const chain = [{ kind: 'run', name: 'r', id: 'r', level: 0 }]
  const base = {
    v: 1,
    kind: 'call',
    level: 1,
    chain,
    deadline: 9e12,
    sent: Date.now(),
    replyTo: randomUUID(),
    callId: 'c',
  }
  return JSON.stringify({ attempts: 3, strata: JSON.stringify({ ...base, ...more }) })
}

const records: [string, string, Record<string, string>, RegExp][] = [
  ['options that are truncated', 'work~1', { ...good, opts: '{"attempts":3,"str' }, /opts is not JSON/],
  ['options that are null', 'work', { ...good, opts: 'null' }, /opts is not JSON/],
  ['a parent that is truncated', 'work', { ...good, parent: '{"id":' }, /parent is not JSON/],
  ['a progress that is no JSON', 'work~1', { ...good, opts: envelope({}), progress: '{' }, /progress is not JSON/],
  ['data that is truncated', 'work~1', { ...good, opts: envelope({}), data: '{"n":' }, /Is not JSON/],
  ['data that is truncated, of a push', 'work', { ...good, data: '{"n":' }, /Is not JSON/],
  ['data of another type', 'work', { ...good, data: '[1]' }, /does not fit/],
  ['no record at all', 'work', {}, /has no name/],
  ['no record at all, in a lane of calls', 'work~1', {}, /has no name/],
  ['a strategy that nobody has', 'work', { ...good, opts: '{"attempts":3,"backoff":{"type":"own"}}' }, /backoff/],
  ['a repetition that cannot be', 'work', { ...good, rjk: 'forged', opts: '{"repeat":{}}' }, /repetition/],
  ['an envelope that is truncated', 'work~1', { ...good, opts: '{"strata":"{\\"v\\":1,"}' }, /is "/],
  ['a forged level', 'work~1', { ...good, opts: envelope({ level: 2 }) }, /level is 2, expected 1/],
  [
    'a level beyond the limit',
    'work',
    { ...good, opts: '{"strata":"{\\"v\\":1,\\"kind\\":\\"push\\",\\"level\\":99}"}' },
    /deeper/,
  ],
  ['a chain of 10,000 entries', 'work~1', { ...good, opts: envelope({ chain: Array(10_000).fill({}) }) }, /chain/],
  ['a prototype', 'work~1', { ...good, opts: '{"__proto__":{"strata":1},"strata":{"__proto__":{"v":1}}}' }, /version/],
  [
    'keys of a prototype in the data',
    'work',
    { ...good, data: '{"__proto__":{"n":1},"constructor":{"n":1}}' },
    /does not fit/,
  ],
]

describe('a record that a stranger wrote is refused, and ends there', () => {
  test.each(records)('%s', async (_, lane, fields, reason) => {
    const { ran, call } = await serving()
    const queue = stage.bullmq(lane)
    await plant(lane, 'forged', fields)
    expect(await call(7)).toBe(7)
    await until(async () => (await queue.getFailedCount()) === 1, { deadlineMs: 5000, message: 'the job to fail' })
    const [failed] = await queue.getFailed()
    expect(failed?.failedReason).toMatch(reason)
    expect(await queue.getActiveCount()).toBe(0)
    expect(ran).toEqual([7])
    expect(stage.reports.filter(report => report.startsWith(`Job refused in lane ${lane}`))).toHaveLength(1)
    expect(({} as { n?: number }).n).toBeUndefined()
  })
})
