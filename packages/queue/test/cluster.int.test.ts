import { type RedisCluster, type RedisNode, startRedisCluster } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest'
import { z } from 'zod'
import { createQueues, defineJob } from '../src/index.ts'
import { faultsOf, startLoad } from './load.ts'
import { skipWithoutProgram, targetOf } from './redis-group.ts'
import { useStage } from './stage.ts'

const inner = defineJob({ name: 'inner', input: z.object({ n: z.number() }), output: z.number() })
const outer = defineJob({ name: 'outer', input: z.object({ n: z.number() }), output: z.number() })

let starting: Promise<RedisCluster>
const stage = useStage()

beforeAll(async () => {
  starting = startRedisCluster()
  await starting.catch(() => {})
})

afterAll(async () => {
  const cluster = await starting.catch(() => undefined)
  await cluster?.stop()
})

/** Three masters and three replicas; what uses them, by some of the nodes; and the master of a prefix of this test. */
async function onCluster(context: TestContext) {
  const cluster = await starting.catch(skipWithoutProgram(context))
  const prefix = `{${stage.prefix}}`
  return { cluster, options: { redis: targetOf(cluster), prefix }, master: () => cluster.masterOf(prefix) }
}

test('calls, shared calls, given-up calls and pushes work on a cluster, each script in one slot', async context => {
  const { options } = await onCluster(context)
  const db = stage.db()
  const queues = stage.queues(db, options)
  const workerDb = stage.db()
  const nested = stage.queues(workerDb, options)
  const worker = stage.worker(workerDb, options)
  worker.handle(inner, async ({ n }, { signal }) => {
    if (n > 0) return n
    return await new Promise<number>((_, reject) =>
      signal.addEventListener('abort', () => reject(new Error('aborted'))),
    )
  })
  worker.handle(outer, async ({ n }) => 10 * (await nested.pushAsync(inner, { n })))
  await worker.start()
  const call = (n: number, given = {}) => db.run(() => queues.pushAsync(outer, { n }, given))
  expect(await Promise.all([call(1), call(2)])).toEqual([10, 20])
  expect(await Promise.all([call(3, { jobId: 'same' }), call(4, { jobId: 'same' })])).toEqual([30, 30])
  expect(await (await queues.push(inner, { n: 5 })).result()).toBe(5)
  // The inner job reaches its deadline first, and its end may be heard before the caller's own.
  const code = expect.stringMatching(/^(CALL_TIMEOUT|DEADLINE_EXCEEDED)$/)
  await expect(call(0, { deadlineMs: 500 })).rejects.toMatchObject({ code, outcome: 'unknown' })
  expect((await queues.lanes()).map(({ lane }) => lane)).toEqual(['inner', 'inner~2', 'outer', 'outer~1'])
  expect(stage.reports).toEqual([])
})

test('a prefix without a hash tag is refused for a cluster', () => {
  const redis = { cluster: [{ host: '127.0.0.1', port: 1 }] }
  expect(() => createQueues({ db: stage.db(), redis, prefix: 'plain' })).toThrow(
    expect.objectContaining({ code: 'CONFIG' }),
  )
})

test('one node that may evict jobs is enough to refuse a cluster, also a replica', async context => {
  const { cluster, options } = await onCluster(context)
  const [node] = cluster.nodes.slice(-1)
  const admin = new Redis(node?.url ?? '')
  await admin.config('SET', 'maxmemory-policy', 'volatile-lru')
  const details = { setting: 'maxmemory-policy', got: 'volatile-lru', address: `127.0.0.1:${node?.port}` }
  await expect(stage.queues(stage.db(), options).start()).rejects.toMatchObject({ code: 'REDIS_SETTING', details })
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  await stage.queues(stage.db(), options).start()
  await admin.quit()
})

test('calls that flow through failovers of their master all end, none of them wrongly', async context => {
  const { cluster, options, master } = await onCluster(context)
  const load = await startLoad(stage, options)
  const flow = load.flow(8, 20_000)
  let now = await master()
  for (let times = 1; times <= 4; times++) {
    expect((await load.call()).error).toBeUndefined()
    now = await cluster.failover(now)
  }
  expect((await load.call()).error).toBeUndefined()
  const ends = await flow.stop()
  expect(faultsOf(ends, load.begun)).toEqual([])
  // A failover that is planned hands all writes over: none is lost.
  expect(ends.filter(({ error }) => error !== undefined)).toEqual([])
})

/** Takes the master away under load, and tells how many of the calls that flowed meanwhile failed. */
async function takeAway(context: TestContext, take: (master: RedisNode) => Promise<void>) {
  const { options, master } = await onCluster(context)
  const load = await startLoad(stage, options)
  expect((await load.call()).error).toBeUndefined()
  const flow = load.flow(8, 20_000)
  const before = await master()
  await take(before)
  expect(await master()).not.toBe(before)
  expect((await load.call()).error).toBeUndefined()
  const ends = await flow.stop()
  expect(faultsOf(ends, load.begun)).toEqual([])
  return before
}

test('calls that flow while their master is killed all end, and those after it succeed', async context => {
  const killed = await takeAway(context, master => master.kill())
  await killed.restart()
}, 40_000)

test('a master that hangs, its connections open, is left for the one that takes over', async context => {
  const hanging = await takeAway(context, master => master.kill('SIGSTOP'))
  await hanging.kill('SIGCONT')
}, 60_000)
