import { gate, startFaultProxy, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

/** Queues and a worker, each behind a proxy, with a call whose job has begun and waits for the gate. */
async function proxied(deadlineMs: number) {
  const callerProxy = await startFaultProxy(stage.redis)
  const workerProxy = await startFaultProxy(stage.redis)
  const db = stage.db()
  const queues = stage.queues(db, { redis: callerProxy.url })
  const worker = stage.worker(stage.db(), { redis: workerProxy.url })
  const held = gate()
  worker.handle(job, async ({ n }) => {
    await held.wait()
    return n
  })
  await worker.start()
  const calling = db.run(() => queues.pushAsync(job, { n: 6 }, { deadlineMs }))
  calling.catch(() => {})
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'the job to begin' })
  const stop = async () => {
    await stage.clear()
    await Promise.all([callerProxy.stop(), workerProxy.stop()])
  }
  return { callerProxy, workerProxy, worker, queues, held, calling, stop }
}

test('connections that are cut come back and the call gets its result', async () => {
  const { callerProxy, workerProxy, held, calling, stop } = await proxied(15_000)
  callerProxy.cut()
  workerProxy.cut()
  held.open()
  expect(await calling).toBe(6)
  await stop()
})

test('a connection that says nothing any more is given up for a new one', async () => {
  const { callerProxy, held, calling, stop } = await proxied(20_000)
  for (const connection of [...callerProxy.connections]) connection.blackhole()
  held.open()
  expect(await calling).toBe(6)
  await stop()
}, 30_000)

test('connections that were cut once are made anew once', async () => {
  await using proxy = await startFaultProxy(stage.redis)
  const queues = stage.queues(stage.db(), { redis: proxy.url })
  await queues.start()
  const passed = async (ms: number) => {
    const from = performance.now()
    await until(() => performance.now() - from > ms, { deadlineMs: ms + 5000, message: `${ms} ms to pass` })
  }
  // Late enough that the read which is cut, and sent again, ends later than one that was never cut would be given up.
  await passed(3500)
  proxy.cut()
  await passed(11_000)
  expect(proxy.connections.map(({ index }) => index).sort()).toEqual([2, 3])
  await stage.clear()
}, 30_000)

test('with Redis away a call ends at its deadline, and everything stops in time', async () => {
  const { callerProxy, workerProxy, worker, queues, held, calling, stop } = await proxied(1000)
  for (const proxy of [callerProxy, workerProxy]) {
    proxy.refuse(true)
    proxy.cut()
  }
  const begun = performance.now()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
  // Its deadline and a second, and what a busy machine adds.
  expect(performance.now() - begun).toBeLessThan(7000)
  held.open()
  const stopping = performance.now()
  await Promise.all([worker.stop({ deadlineMs: 500 }), queues.stop({ deadlineMs: 500 })])
  expect(performance.now() - stopping).toBeLessThan(10_000)
  await stop()
}, 30_000)

test('a lane whose first connections fail is served once they come', async () => {
  await using proxy = await startFaultProxy(stage.redis)
  const worker = stage.worker(stage.db(), { redis: proxy.url })
  worker.handle(job, async ({ n }) => n)
  await worker.start()
  // The worker still hears of the lane, and cannot make the connections on which its fetchers wait.
  proxy.refuse(true)
  const db = stage.db()
  const queues = stage.queues(db)
  const call = (n: number) => db.run(() => queues.pushAsync(job, { n }, { deadlineMs: 8000 }))
  const calling = call(7)
  calling.catch(() => {})
  const refused = () => stage.reports.filter(report => /^Lane work~1: .*ECONNRESET/.test(report))
  await until(() => refused().length >= 4, { deadlineMs: 5000, message: 'all its fetchers to be refused' })
  proxy.refuse(false)
  expect(await calling).toBe(7)
  // The first may have been there when they began; for this one they have to wait.
  for (const n of [8, 9]) expect(await call(n)).toBe(n)
  await stage.clear()
}, 30_000)

test('a lane whose first connections fall silent before they can be used is served all the same', async () => {
  await using proxy = await startFaultProxy(stage.redis)
  const worker = stage.worker(stage.db(), { redis: proxy.url })
  worker.handle(job, async ({ n }) => n)
  await worker.start()
  const db = stage.db()
  const queues = stage.queues(db)
  const call = () => db.run(() => queues.pushAsync(job, { n: 7 }, { deadlineMs: 2000 }))
  // So slow that a new connection is caught before its first answer.
  proxy.delay(200)
  const before = new Set(proxy.connections)
  call().catch(() => {})
  const fresh = () => proxy.connections.filter(connection => !before.has(connection))
  await until(() => fresh().length === 4, { deadlineMs: 5000, message: 'the fetchers of the lane to connect' })
  for (const connection of fresh()) connection.blackhole()
  proxy.delay(0)
  for (const connection of before) connection.delay(0)
  // Each fetcher looks once as it begins; from then on it has to wait on its own connection.
  for (let served = 0; served < 8; served += 1) {
    await until(() => call().catch(() => false), { deadlineMs: 20_000, message: `call ${served} to be served` })
  }
  await stage.clear()
}, 40_000)

test('processes that need more connections than the server grants are refused', async () => {
  const redis = new Redis(stage.redis)
  const greedy = { untilMs: Date.now() + 30_000, connections: 900_000, lanes: { 'work~1': 5 } }
  await redis.hset(createKeys(stage.prefix).processes, 'greedy', JSON.stringify(greedy))
  const db = stage.db()
  const worker = stage.worker(db)
  worker.handle(job, async ({ n }) => n)
  const refused = { code: 'CONNECTION_BUDGET', outcome: 'not-applied', details: { others: 900_000 } }
  // Two of its own, and for one queue five lanes of four fetchers.
  await expect(worker.start()).rejects.toMatchObject({ ...refused, details: { connections: 22 } })
  await expect(stage.queues(db).start()).rejects.toMatchObject(refused)
  // A process that is gone counts no more.
  await redis.hset(createKeys(stage.prefix).processes, 'greedy', JSON.stringify({ ...greedy, untilMs: 0 }))
  const queues = stage.queues(db)
  await queues.start()
  expect(await queues.lanes()).toEqual([])
  await redis.quit()
})

test('what is made inside a unit of work does not keep it: jobs see nothing of it', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const inner = defineJob({ name: 'inner', input: z.object({}), output: z.string() })
  const worker = stage.worker(db)
  worker.handle(job, async ({ n }) => n)
  worker.handle(inner, async () => {
    const { transaction, chain } = db.current
    await queues.pushAsync(job, { n: 1 })
    return `${chain.map(({ name }) => name).join(' ')} ${transaction === undefined}`
  })
  // Started in a transaction at level 3: with its context, every job would wait behind what that transaction holds.
  await db.run(() => db.switchDb(() => db.transaction.begin(() => worker.start()), { level: 3 }))
  const call = () => db.transaction.begin(() => queues.pushAsync(inner, {}))
  expect(await db.run(call, { name: 'GET /' })).toBe('GET / inner true')
})
