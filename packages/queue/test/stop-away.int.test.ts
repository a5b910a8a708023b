import { type FaultProxy, gate, startFaultProxy, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type Queues, type WorkerHandle } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const calls = 100
const slots = 20
const deadlineMs = 1500
/** A second beyond the deadline, and five for a machine that is busy with other tests; the jobs would run for far longer. */
const endMsMax = deadlineMs + 6000

const stage = useStage()

const faults: [string, (proxy: FaultProxy) => void][] = [
  [
    'gone',
    proxy => {
      proxy.refuse(true)
      proxy.cut()
    },
  ],
  ['there and silent', proxy => proxy.blackhole()],
]

/** 100 calls that wait, 20 of them for jobs that run until they are aborted; caller and worker each behind a proxy. */
async function underLoad() {
  const callerProxy = await startFaultProxy(stage.redis)
  const workerProxy = await startFaultProxy(stage.redis)
  const db = stage.db()
  const queues = stage.queues(db, { redis: callerProxy.url })
  const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500 }
  const worker = stage.worker(stage.db(), { redis: workerProxy.url, lanes: { slots }, stalled })
  const reasons: unknown[] = []
  worker.handle(job, async (_, { signal }) => {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    reasons.push(signal.reason)
    throw signal.reason
  })
  await worker.start()
  const calling = Array.from({ length: calls }, (_, n) => db.run(() => queues.pushAsync(job, { n })))
  const ends = Promise.allSettled(calling)
  await until(() => worker.activities().length === slots, { deadlineMs: 10_000, message: 'every slot to be taken' })
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getWaitingCount()) === calls - slots, { deadlineMs: 10_000, message: 'the rest' })
  const stop = () => Promise.all([callerProxy.stop(), workerProxy.stop()])
  return { callerProxy, workerProxy, queues, worker, reasons, ends, stop }
}

async function stopMs(stopped: Queues | WorkerHandle): Promise<number> {
  const begun = performance.now()
  await stopped.stop({ deadlineMs })
  return performance.now() - begun
}

const endsOf = (ends: PromiseSettledResult<number>[]) =>
  ends.map(end => {
    if (end.status === 'fulfilled') return 'ok'
    const { code, outcome } = end.reason as { code: string; outcome: string }
    return `${code} ${outcome}`
  })

test.each(faults)('under load with a Redis that is %s both stop in time, and every call ends', async (_, break_) => {
  const { callerProxy, workerProxy, queues, worker, reasons, ends, stop } = await underLoad()
  break_(callerProxy)
  break_(workerProxy)
  const took = await Promise.all([stopMs(queues), stopMs(worker)])
  for (const ms of took) expect(ms).toBeLessThan(endMsMax)
  // Nobody can tell what became of them, whether they ran or not.
  expect(new Set(endsOf(await ends))).toEqual(new Set(['CALL_ABORTED unknown']))
  expect(reasons).toHaveLength(slots)
  expect(queues.waiting()).toEqual([])
  expect(worker.activities()).toEqual([])
  await stop()
})

test.each(faults)('what a worker cannot hand back to a Redis that is %s runs elsewhere', async (_, break_) => {
  const { workerProxy, worker, ends, stop } = await underLoad()
  break_(workerProxy)
  expect(await stopMs(worker)).toBeLessThan(endMsMax)
  const second = stage.worker(stage.db(), {
    lanes: { slots },
    stalled: { lockDurationMs: 2000, stalledIntervalMs: 500 },
  })
  second.handle(job, async ({ n }) => n)
  await second.start()
  expect(endsOf(await ends)).toEqual(Array.from({ length: calls }, () => 'ok'))
  await stop()
})

test('under load with a Redis that answers, what did not start is not applied, and what ran is unknown', async () => {
  const { queues, worker, ends, stop } = await underLoad()
  expect(await stopMs(queues)).toBeLessThan(endMsMax)
  const told = endsOf(await ends)
  expect(told.filter(end => end === 'CALL_ABORTED not-applied')).toHaveLength(calls - slots)
  expect(told.filter(end => end === 'CALL_ABORTED unknown')).toHaveLength(slots)
  expect(await stopMs(worker)).toBeLessThan(endMsMax)
  await stop()
})

test('a second stop under load hands back what runs at once, and other workers run it', async () => {
  const { worker, ends, reasons, stop } = await underLoad()
  const held = gate()
  const second = stage.worker(stage.db(), { lanes: { slots } })
  second.handle(job, async ({ n }) => {
    held.open()
    return n
  })
  const first = worker.stop({ deadlineMs: 60_000 })
  await second.start()
  // The lane is free for the other worker, while what runs goes on.
  await held.wait()
  expect(reasons).toEqual([])
  await worker.stop({ deadlineMs: 0 })
  await first
  expect(endsOf(await ends)).toEqual(Array.from({ length: calls }, () => 'ok'))
  expect(reasons).toHaveLength(slots)
  await stop()
})
