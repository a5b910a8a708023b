import { gate, redisReleases, startRedis, TestkitError, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const shape = { input: z.object({ n: z.number() }), output: z.number() }
const inner = defineJob({ name: 'inner', ...shape })
const outer = defineJob({ name: 'outer', ...shape })
const held = defineJob({ name: 'held', ...shape })

const stage = useStage()

async function workOn(url: string) {
  const db = stage.db()
  const queues = stage.queues(db, { redis: url })
  const worker = stage.worker(db, { redis: url })
  const opened = gate()
  const isAborted = gate()
  worker.handle(inner, async ({ n }) => n + 1)
  worker.handle(outer, async ({ n }) => 10 * (await queues.pushAsync(inner, { n })))
  worker.handle(held, async ({ n }, { signal }) => {
    signal.addEventListener('abort', () => isAborted.open())
    await opened.wait()
    return n
  })
  await worker.start()
  const call = (job: typeof outer, n: number, options = {}) => db.run(() => queues.pushAsync(job, { n }, options))
  /** A call whose job has begun, and waits for the gate. */
  const begin = async (n: number, options = {}) => {
    const calling = call(held, n, options)
    calling.catch(() => {})
    const hasBegun = () => worker.activities().some(({ job }) => job === held.name)
    await until(hasBegun, { deadlineMs: 10_000, message: 'the job to begin' })
    // In an object: an async function that returns a promise waits for it.
    return { calling }
  }
  return { queues, call, begin, opened, isAborted }
}

/** What a queue needs of a server, each script and each command: nested, pushed, put off, shared, lost, given up. */
async function conform(url: string): Promise<void> {
  const { queues, call, begin, opened, isAborted } = await workOn(url)
  expect(await Promise.all([call(outer, 1), call(outer, 2)])).toEqual([20, 30])
  expect(await (await queues.push(outer, { n: 3 }, { delay: 20, priority: 2 })).result()).toBe(40)
  expect(await Promise.all([call(outer, 4, { jobId: 'one' }), call(outer, 9, { jobId: 'one' })])).toEqual([50, 50])
  expect(await call(outer, 5, { deduplication: { id: 'two' } })).toBe(60)

  const given = new AbortController()
  const aborted = await begin(6, { signal: given.signal })
  given.abort()
  await expect(aborted.calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  await isAborted.wait(5000)

  const recovered = await begin(7)
  const admin = new Redis(url)
  await admin.del(...(await admin.keys(`${stage.prefix}:~replies:*`)))
  await admin.quit()
  opened.open()
  expect(await recovered.calling).toBe(7)

  const lanes = ['held', 'held~1', 'inner', 'inner~2', 'outer', 'outer~1']
  expect((await queues.lanes()).map(({ lane }) => lane)).toEqual(lanes)
}

const onPath = 'the program on the PATH'

test.for([...redisReleases, onPath] as const)('%s serves calls, pushes and their recovery', async (which, context) => {
  const quiet = { private: true, report: () => {} }
  const starting =
    which === onPath
      ? startRedis({ ...quiet, env: { ...process.env, REDIS_URL: undefined, STRATA_REDIS: 'path' } })
      : startRedis({ ...quiet, release: which })
  await using server = await starting.catch((error: unknown) => {
    // No pip, no network, another platform, or nothing on the PATH.
    if (error instanceof TestkitError && /UNAVAILABLE|RUNG_FAILED/.test(error.code)) context.skip(error.message)
    throw error
  })
  await conform(server.url)
  await stage.clear()
})
