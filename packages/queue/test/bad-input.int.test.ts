import { randomUUID } from 'node:crypto'
import { gate, until } from '@strata/testkit'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useRedis, useStage } from './stage.ts'

// Before the queue is loaded.
const { counted } = await vi.hoisted(() => import('./counting.ts'))

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
const redis = useRedis()

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
  const worker = stage.worker(stage.db())
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

test('a record that was refused stays so when it is retried by hand, and keeps nothing large', async () => {
  const loose = defineJob({
    name: 'work',
    queue: 'loose',
    input: z.object({ n: z.number().optional() }),
    output: z.void(),
  })
  const worker = stage.worker(stage.db())
  let runs = 0
  worker.handle(loose, async () => {
    runs += 1
  })
  await worker.start()
  await plant('loose', 'truncated', { ...good, data: '{"n":' })
  await plant('loose', 'blob', { ...good, data: JSON.stringify({ s: 'x'.repeat(17 * 1_048_576) }) })
  const queue = stage.bullmq('loose')
  const untilFailed = () =>
    until(async () => (await queue.getFailedCount()) === 2, { deadlineMs: 5000, message: 'both to fail' })
  await untilFailed()
  expect(await redis.hstrlen(`${stage.prefix}:loose:blob`, 'data')).toBe(2)
  expect(await redis.hstrlen(`${stage.prefix}:loose:blob`, 'strataWas:data')).toBe(1000)
  for (const failed of await queue.getFailed()) await failed.retry()
  await untilFailed()
  for (const { failedReason } of await queue.getFailed())
    expect(failedReason).toContain('it was refused before: Input of work')
  expect(runs).toBe(0)
})

describe('what a stranger writes beside the queues', () => {
  const key = (name: string) => `${stage.prefix}:~${name}`
  const lives = (more: object) => JSON.stringify({ untilMs: Date.now() + 5000, connections: 1, lanes: {}, ...more })
  const entries: [string, () => string][] = [
    ['truncated', () => '{"untilMs":'],
    ['null', () => 'null'],
    ['an endless lease of another set-up', () => lives({ untilMs: 9e15, setup: 'levels.max 1, isolation none' })],
    ['a number that is none', () => '{"untilMs":nan,"connections":1}'],
    ['more connections than any server has', () => lives({ connections: 1e300 })],
    ['a set-up that is no text', () => lives({ setup: { a: 1 } })],
    ['50 MiB', () => lives({ lanes: { x: 'x'.repeat(50 * 1_048_576) } })],
  ]

  test.each(entries)('as a process (%s) keeps nobody from starting, is removed and counted', async (_, entry) => {
    await redis.hset(key('processes'), 'forged', entry())
    const before = counted('MESSAGE_INVALID')
    const { call } = await serving()
    expect(await call(1)).toBe(1)
    expect(await redis.hexists(key('processes'), 'forged')).toBe(0)
    expect(counted('MESSAGE_INVALID')).toBe(before + 1)
    expect(stage.reports.filter(report => report.includes('no process can have written'))).toHaveLength(1)
  })

  test('as lanes opens none, and is not shown', async () => {
    const names = [
      'work~0',
      'work~99',
      'work~1.5',
      'work~',
      '~1',
      'no lane',
      'other~1',
      '__proto__~1',
      'x'.repeat(100_000),
    ]
    await redis.sadd(key('lanes'), ...names)
    const { worker, queues, call } = await serving()
    await redis.publish(key('lanes'), names.join(' '))
    expect(await call(1)).toBe(1)
    expect((await worker.lanes()).map(({ lane }) => lane)).toEqual(['work', 'work~1'])
    const shown = (await queues.lanes()).map(({ lane }) => lane)
    expect(shown).not.toContain('no lane')
    expect(shown).not.toContain('work~0')
  })

  const claims: [string, Record<string, string>][] = [
    ['without a level', { job: 'mine', lane: 'work~1', key: 'x:mine' }],
    ['with a level that is none', { job: 'mine', lane: 'work~1', level: 'deep', key: 'x:mine' }],
    ['for another record', { job: 'mine', lane: 'work~1', level: '1', key: 'elsewhere' }],
    ['with a waiter that is none', { 'w:': 'nobody', 'w:x': '../../key' }],
  ]
  test.each(claims)('as a claim of a job id (%s) does not take the id away', async (_, claim) => {
    const { queues } = await serving()
    await redis.hset(key('claim:work:j:mine'), claim)
    const db = stage.db()
    const own = stage.queues(db)
    expect(await db.run(() => own.pushAsync(job, { n: 4 }, { jobId: 'mine', deadlineMs: 5000 }))).toBe(4)
    expect(queues.waiting()).toEqual([])
  })

  test('as a message about a given-up call is passed over and counted, and gives up no job', async () => {
    const db = stage.db()
    const queues = stage.queues(db)
    const worker = stage.worker(stage.db())
    const held = gate()
    worker.handle(job, async ({ n }, { signal }) => {
      await held.wait()
      return signal.aborted ? -1 : n
    })
    await worker.start()
    const before = counted('MESSAGE_INVALID')
    const calling = db.run(() => queues.pushAsync(job, { n: 5 }))
    await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })
    for (const fields of [
      ['d', 'x'],
      ['c', 'x'.repeat(10_000)],
      ['__proto__', '{'],
      ['c', 'nobody'],
    ]) {
      await redis.xadd(key('cancelled'), '*', ...fields)
    }
    await until(() => counted('MESSAGE_INVALID') === before + 3, { deadlineMs: 5000, message: 'three refusals' })
    expect(stage.reports.filter(report => report.includes('names no call'))).toHaveLength(1)
    held.open()
    expect(await calling).toBe(5)
  })

  test('instead of the stream of replies costs a call a look at its record, and is told once', async () => {
    const { call } = await serving()
    expect(await call(1)).toBe(1)
    const [replies = ''] = await redis.keys(key('replies:*'))
    await redis.set(replies, 'text')
    expect(await call(2)).toBe(2)
    const told = () => stage.reports.filter(report => report.startsWith('Reading replies')).length
    // A read that waits hears of it only when its time is up.
    await until(() => told() > 0, { deadlineMs: 10_000, message: 'the report' })
    expect(await call(3)).toBe(3)
    expect(told()).toBe(1)
  })

  test('a key of another type than ours ends calls in typed errors, in time', async () => {
    const { call } = await serving()
    await redis.multi().del(key('lanes')).set(key('lanes'), 'text').exec()
    await expect(call(1)).rejects.toMatchObject({ code: 'SEND_FAILED', outcome: 'not-applied' })
  })
})

test('200 calls complete while rubbish floods the lanes, the replies, the messages and the registries', async () => {
  const { queues, worker, call, ran } = await serving()
  expect(await call(-1)).toBe(-1)
  const [replies = ''] = await redis.keys(`${stage.prefix}:~replies:*`)
  const before = { job: counted('ENVELOPE_INVALID'), reply: counted('REPLY_INVALID') }
  const blob = JSON.stringify({ n: 'x'.repeat(50 * 1_048_576) })
  await plant('work~1', 'blob', { ...good, data: blob, opts: envelope({}) })
  await redis.xadd(replies, '*', 'c', 'nobody', 'r', blob)
  let flooding = true
  let rounds = 0
  const flood = async () => {
    for (; flooding && rounds < 40; rounds += 1) {
      for (const [at, [, lane, fields]] of records.entries()) await plant(lane, `rubbish-${rounds}-${at}`, fields)
      await redis
        .multi()
        .xadd(replies, '*', 'c', 'nobody', 'r', '{"v":')
        .xadd(replies, '*', 'c', 'nobody')
        .xadd(replies, '*', '__proto__', '{')
        .xadd(`${stage.prefix}:~cancelled`, '*', 'c', 'x'.repeat(10_000))
        .xadd(`${stage.prefix}:~cancelled`, '*', 'd', 'x')
        .hset(`${stage.prefix}:~processes`, `rubbish-${rounds}`, '{"untilMs":')
        .sadd(`${stage.prefix}:~lanes`, `rubbish ${rounds}`)
        .exec()
    }
  }
  const flooded = flood()
  const ends: number[] = []
  try {
    while (ends.length < 200 || rounds < 10) {
      const from = ends.length
      const calls = Array.from({ length: 20 }, (_, at) => call(from + at))
      ends.push(...(await Promise.all(calls)))
    }
  } finally {
    flooding = false
    await flooded
  }
  expect(ends).toEqual(Array.from(ends, (_, n) => n))
  const lanes = ['work', 'work~1'].map(lane => stage.bullmq(lane))
  const left = async () => (await Promise.all(lanes.map(lane => lane.getJobCountByTypes('wait', 'active')))).join()
  await until(async () => (await left()) === '0,0', { deadlineMs: 30_000, message: 'the rest to end' })
  expect(ran.filter(n => n >= 0)).toHaveLength(ends.length)
  expect(worker.activities()).toEqual([])
  expect(queues.waiting()).toEqual([])
  expect(counted('ENVELOPE_INVALID')).toBeGreaterThanOrEqual(before.job + rounds * 10)
  expect(counted('REPLY_INVALID')).toBeGreaterThanOrEqual(before.reply + rounds * 2)
  expect(counted('PAYLOAD_TOO_LARGE')).toBeGreaterThan(0)
  // Each kind of refusal is told once in the minute, however many there were.
  for (const kind of ['Job refused in lane', 'Reading replies', 'Announcing this process']) {
    const told = stage.reports.filter(report => report.startsWith(kind))
    expect(told.length).toBeLessThanOrEqual(6)
  }
}, 60_000)
