import type { DeclaredProcesses } from '@strata/db-context'
import { type ServerHandle, startRedis, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type WorkerOptions } from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

/** With 16 kept free for people, 64 for the processes. */
const maxclients = 80

let server: ServerHandle
const stage = useStage()

beforeAll(async () => {
  server = await startRedis({ private: true, redisArgs: ['--maxclients', String(maxclients)], report: () => {} })
})

afterAll(() => server.stop())

/** A worker of one queue with two levels: 2 connections and 3 lanes of as many fetchers as slots. */
function worker(slots: number, processes?: DeclaredProcesses, options: Partial<WorkerOptions> = {}) {
  const db = stage.db({ levels: { max: 2 }, ...(processes ? { processes } : {}) })
  const made = stage.worker(db, { redis: server.url, lanes: { slots }, ...options })
  made.handle(job, async ({ n }) => n)
  return made
}

const queues = (processes?: DeclaredProcesses) =>
  stage.queues(stage.db({ levels: { max: 2 }, ...(processes ? { processes } : {}) }), { redis: server.url })

test('the first of several declared processes is refused when all of them would not fit', async () => {
  // 5 connections each: 12 of them are 60, 13 are 65.
  await expect(worker(1, { kind: 'worker', max: 13 }).start()).rejects.toMatchObject({
    code: 'CONNECTION_BUDGET',
    outcome: 'not-applied',
    message: expect.stringMatching(
      /^13 processes of kind worker\/worker .* 5 Redis .* 65, beside 0 .* 80 \(16 kept free\)/,
    ),
    details: {
      connections: 5,
      reserved: 65,
      others: 0,
      maxclients,
      reserve: 16,
      kind: 'worker/worker',
      processesMax: 13,
    },
  })
  await worker(1, { kind: 'worker', max: 12 }).start()
  await expect(queues({ kind: 'api', max: 3 }).start()).rejects.toMatchObject({
    details: { connections: 2, reserved: 6, others: 60 },
  })
  await queues({ kind: 'api', max: 2 }).start()
  await worker(1, { kind: 'worker', max: 12 }).start()
  await expect(queues().start()).rejects.toMatchObject({ details: { reserved: 2, others: 64 } })
})

test('queues and a worker of one process are declared once and counted apart', async () => {
  const processes = { kind: 'worker', max: 9 }
  await worker(1, processes).start()
  await queues(processes).start()
  await expect(queues().start()).rejects.toMatchObject({ details: { reserved: 2, others: 63 } })
})

test('what runs beyond its declaration counts, and what is missing counts as the largest of its kind', async () => {
  const of = (max: number) => ({ kind: 'worker', max })
  // In a rolling deploy: one with 5, one with 14, and 14 for the third.
  await worker(1, of(3)).start()
  await worker(4, of(3)).start()
  const other = { kind: 'other', max: 1 }
  await expect(worker(10, { ...other, max: 3 }).start()).rejects.toMatchObject({
    details: { reserved: 42, others: 33 },
  })
  await worker(1, of(2)).start()
  await worker(1, of(2)).start()
  await expect(worker(10, { ...other, max: 3 }).start()).rejects.toMatchObject({ details: { others: 29 } })
})

test('a worker and its queues never have more connections than they count', async () => {
  const redis = new Redis(server.url)
  const db = stage.db({ levels: { max: 2 } })
  const sending = stage.queues(db, { redis: server.url })
  const serving = worker(4)
  await Promise.all([sending.start(), serving.start()])
  const nested = { dbInfo: { level: 2 } }
  const all = Array.from({ length: 40 }, (_, n) => [
    sending.push(job, { n }),
    db.run(() => sending.pushAsync(job, { n })),
    db.run(() => sending.pushAsync(job, { n }, nested)),
  ])
  await Promise.all(all.flat())
  await until(async () => (await serving.lanes()).length === 3, { deadlineMs: 5000, message: 'every lane to be open' })
  const names = String(await redis.client('LIST'))
  // 2 of the queues, and 2 + 3 lanes x 4 fetchers of the worker.
  expect(names.split('\n').filter(line => line.includes(` name=${stage.prefix}:`))).toHaveLength(2 + 14)
  const entries = Object.values(await redis.hgetall(createKeys(stage.prefix).processes)).map(text => JSON.parse(text))
  expect(entries.map(({ connections }) => connections).sort((a, b) => a - b)).toEqual([2, 14])
  await redis.quit()
})

test('a job takes no more of Redis’s memory than the guide says', async () => {
  const redis = new Redis(server.url)
  const bytesOf = async (key: string) => Number(await redis.memory('USAGE', key, 'SAMPLES', 0))
  const text = defineJob({ name: 'text', input: z.string(), output: z.string() })
  const db = stage.db()
  const sending = stage.queues(db, { redis: server.url })
  const serving = stage.worker(db, { redis: server.url, lanes: { slots: 1 } })
  serving.handle(text, async input => input)
  for (const size of [0, 1000, 100_000]) {
    const waiting = await sending.push(text, 'x'.repeat(size), { jobId: `waits-${size}` })
    expect(await bytesOf(`${stage.prefix}:text:${waiting.id}`)).toBeLessThan(600 + 1.25 * size + 50)
  }
  await serving.start()
  for (const size of [0, 1000, 100_000]) {
    await db.run(() => sending.pushAsync(text, 'x'.repeat(size), { jobId: `ended-${size}` }))
    const key = `${stage.prefix}:text~1:ended-${size}`
    const isRecorded = async () => (await redis.hexists(key, 'finishedOn')) === 1
    await until(isRecorded, { deadlineMs: 5000, message: 'the end to be recorded' })
    // Input and result; an allocation is up to a quarter larger than what is in it.
    expect(await bytesOf(key)).toBeLessThan(2048 + 1.25 * 2 * size)
  }
  await redis.quit()
})
