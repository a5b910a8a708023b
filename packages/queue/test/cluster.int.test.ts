import { type ServerHandle, startRedis, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { createQueues, defineJob } from '../src/index.ts'
import { Stage } from './stage.ts'

const inner = defineJob({ name: 'inner', input: z.object({ n: z.number() }), output: z.number() })
const outer = defineJob({ name: 'outer', input: z.object({ n: z.number() }), output: z.number() })

let server: ServerHandle
let stage: Stage

/** One node that has all slots: it refuses, as any cluster does, a script whose keys are in several. */
beforeAll(async () => {
  server = await startRedis({ redisArgs: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] })
  const admin = new Redis(server.url)
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until(async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'), {
    deadlineMs: 10_000,
    message: 'the cluster to be ready',
  })
  await admin.quit()
})

afterAll(async () => {
  await server.stop()
})

beforeEach(() => {
  stage = new Stage()
})

afterEach(async () => {
  await stage.clear()
})

const target = () => {
  const { hostname, port } = new URL(server.url)
  return { cluster: [{ host: hostname, port: Number(port) }] }
}

test('calls, shared calls, given-up calls and pushes work on a cluster, each script in one slot', async () => {
  const options = { redis: target(), prefix: `{${stage.prefix}}` }
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
  await expect(call(0, { deadlineMs: 500 })).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
  expect((await queues.lanes()).map(({ lane }) => lane)).toEqual(['inner', 'inner~2', 'outer', 'outer~1'])
  expect(stage.reports).toEqual([])
})

test('a prefix without a hash tag is refused for a cluster', () => {
  const db = stage.db()
  expect(() => createQueues({ db, redis: target(), prefix: 'plain' })).toThrow(
    expect.objectContaining({ code: 'CONFIG' }),
  )
})
