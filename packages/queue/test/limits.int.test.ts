import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createQueues, createWorker, defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const echo = defineJob({
  name: 'echo',
  input: z.object({ text: z.string(), times: z.number().default(1) }),
  output: z.string(),
})

const stage = useStage()

async function echoing(options: { held?: Promise<void>; payloadBytesMax?: number; callsMax?: number } = {}) {
  const { held, ...limits } = options
  const db = stage.db()
  const queues = stage.queues(db, limits)
  const worker = stage.worker(stage.db(), limits.payloadBytesMax ? { payloadBytesMax: limits.payloadBytesMax } : {})
  let runs = 0
  worker.handle(echo, async ({ text, times }) => {
    runs += 1
    await held
    return text.repeat(times)
  })
  await worker.start()
  const call = (text: string, times = 1) =>
    db.run(() => queues.pushAsync(echo, { text, times }, { attempts: 3, deadlineMs: 10_000 }))
  return { db, queues, worker, call, runs: () => runs }
}

test('one call more than may wait is refused at once, and taken when another has ended', async () => {
  const held = gate()
  const { queues, call } = await echoing({ held: held.wait(), callsMax: 2 })
  const calls = [call('a'), call('b')]
  await until(() => queues.waiting().length === 2, { deadlineMs: 5000, message: 'two calls to wait' })
  await expect(call('c')).rejects.toMatchObject({
    code: 'CALLS_LIMIT',
    outcome: 'not-applied',
    transient: true,
    details: { callsMax: 2 },
  })
  // It was not made to wait: none of those that do has ended.
  expect(queues.waiting()).toHaveLength(2)
  held.open()
  expect(await Promise.all(calls)).toEqual(['a', 'b'])
  expect(await call('c')).toBe('c')
})

test('an input that is too large is not sent, and a result that is too large does not run the job again', async () => {
  const { db, queues, call, runs } = await echoing({ payloadBytesMax: 1000 })
  const refused = { code: 'PAYLOAD_TOO_LARGE', outcome: 'not-applied', details: { bytesMax: 1000 } }
  // Measured in bytes, not in characters.
  await expect(call('é'.repeat(500))).rejects.toMatchObject(refused)
  await expect(db.run(() => queues.push(echo, { text: 'e'.repeat(1000) }))).rejects.toMatchObject(refused)
  expect(runs()).toBe(0)
  expect(await call('e'.repeat(900))).toHaveLength(900)
  await expect(call('ab', 600)).rejects.toMatchObject({ ...refused, outcome: 'applied' })
  expect(runs()).toBe(2)
})

test('what a stranger put into a queue is refused, and what comes after it is not held up', async () => {
  const { queues, call, runs } = await echoing()
  const queue = stage.bullmq('echo')
  await queue.add('echo', { text: 'x'.repeat(50 * 1_048_576) })
  await queue.add('echo', JSON.parse('{"__proto__": {"text": "polluted"}, "constructor": {"prototype": 1}}'))
  const chain = Array.from({ length: 10_000 }, (_, level) => ({ kind: 'job', name: 'j', id: `${level}`, level }))
  const long = { attempts: 2, strata: { v: 1, kind: 'call', level: 1, chain, deadline: 9e12, callId: 'c' } }
  await queue.add('echo', { text: 'a' }, long)
  expect(await (await queues.push(echo, { text: 'after' })).result()).toBe('after')
  expect(await call('call')).toBe('call')
  const reasons = (await queue.getFailed()).map(({ failedReason }) => failedReason.slice(0, 20))
  expect(reasons).toHaveLength(3)
  expect(runs()).toBe(2)
  expect(stage.reports.filter(report => report.startsWith('Job refused in lane echo'))).toHaveLength(3)
  expect(({} as { text?: string }).text).toBeUndefined()
}, 30_000)

test('a call in a lane that no process serves is refused after two seconds, and its job is removed', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const begun = performance.now()
  await expect(db.run(() => queues.pushAsync(echo, { text: 'a' }))).rejects.toMatchObject({
    code: 'LANE_UNSERVED',
    outcome: 'not-applied',
    transient: true,
    details: { lane: 'echo~1' },
  })
  expect(performance.now() - begun).toBeGreaterThan(2000)
  // Long before its deadline of 30 s.
  expect(performance.now() - begun).toBeLessThan(15_000)
  expect(await stage.bullmq('echo~1').getWaitingCount()).toBe(0)
})

test('a call in a lane that is served but full waits on', async () => {
  const held = gate()
  const { queues, worker, call } = await echoing({ held: held.wait() })
  const calls = Array.from({ length: 12 }, (_, index) => call(`${index}`))
  await until(() => worker.activities().length === 10, { deadlineMs: 5000, message: 'all slots to be taken' })
  await until(() => queues.waiting().every(({ since }) => performance.now() - since > 4000), {
    deadlineMs: 8000,
    message: 'the calls to have waited for four seconds',
  })
  held.open()
  expect(await Promise.all(calls)).toHaveLength(12)
})

const day = 86_400_000
const badWaits = [Number.NaN, -1, day + 1, Number.POSITIVE_INFINITY]

test('limits that cannot work are refused', async () => {
  const db = stage.db()
  const deadlines = [0, ...badWaits].map(callDeadlineMs => ({ callDeadlineMs }))
  for (const options of [{ callsMax: 0 }, { payloadBytesMax: 0.5 }, ...deadlines]) {
    expect(() => createQueues({ db, redis: stage.redis, ...options })).toThrow(
      expect.objectContaining({ code: 'CONFIG' }),
    )
  }
  const stalled = [
    ...[0, ...badWaits].flatMap(ms => [{ lockDurationMs: ms }, { stalledIntervalMs: ms }]),
    ...[Number.NaN, -1, 0.5].map(maxStalledCount => ({ maxStalledCount })),
  ].map(given => ({ stalled: given }))
  for (const options of [{ payloadBytesMax: 0 }, { graceMs: -1 }, { graceMs: Number.NaN }, ...stalled]) {
    expect(() => createWorker({ db, redis: stage.redis, ...options })).toThrow(
      expect.objectContaining({ code: 'CONFIG' }),
    )
  }
  const made = [stage.queues(db), stage.worker(db)]
  for (const deadlineMs of badWaits) {
    for (const each of made) await expect(each.stop({ deadlineMs })).rejects.toMatchObject({ code: 'CONFIG' })
  }
})

test('ten thousand calls may wait in one process, and each gets its own result', async () => {
  const held = gate()
  const { db, queues } = await echoing({ held: held.wait() })
  const count = 10_000
  const calls = Array.from({ length: count }, (_, n) =>
    db.run(() => queues.pushAsync(echo, { text: `${n}`, times: 1 }, { deadlineMs: 100_000 })),
  )
  const ends = Promise.allSettled(calls)
  const areDue = () => queues.waiting().every(({ since }) => performance.now() - since > 2500)
  await until(() => queues.waiting().length === count && areDue(), {
    deadlineMs: 30_000,
    message: 'all calls to have been looked up once',
  })
  held.open()
  expect(await ends).toEqual(calls.map((_, n) => ({ status: 'fulfilled', value: `${n}` })))
}, 120_000)
