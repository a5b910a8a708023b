import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnNode, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const blockedWorker = fileURLToPath(new URL('process/blocked-worker.ts', import.meta.url))

/** As in the blocked process. */
const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500 }

const stage = useStage()

const has = <K extends string>(key: K) => {
  return (message: unknown): message is Record<K, unknown> =>
    typeof message === 'object' && message !== null && key in message
}

/** A worker process that has begun the call of 7 and blocks, another worker, and what lets the first go on. */
async function blocking(where: 'here' | 'thread') {
  const file = join(tmpdir(), `strata-${randomUUID()}`)
  onTestFinished(() => rmSync(file, { force: true }))
  const blocked = await spawnNode(blockedWorker, { args: [stage.redis, stage.prefix, file, where], ipc: true })
  onTestFinished(() => blocked[Symbol.asyncDispose]())
  await blocked.nextMessage(has('ready'), 20_000)
  const db = stage.db()
  const queues = stage.queues(db)
  const ends: number[] = []
  const calling = db.run(() => queues.pushAsync(job, { n: 7 })).then(value => void ends.push(value))
  calling.catch(() => {})
  await blocked.nextMessage(has('begun'), 10_000)
  const second = stage.worker(stage.db(), { stalled })
  const runs: number[] = []
  second.handle(job, async ({ n }) => {
    runs.push(n)
    return n
  })
  await second.start()
  return { blocked, calling, ends, runs, goOn: () => writeFileSync(file, '') }
}

test('a job whose worker’s event loop is blocked runs elsewhere, and its call ends once, with that result', async () => {
  const { blocked, calling, ends, runs, goOn } = await blocking('here')
  await calling
  await until(() => stage.reports.length > 0, { deadlineMs: 5000, message: 'the stall to be reported' })
  expect(stage.reports).toEqual([
    expect.stringMatching(/^Lane work~1: Job \S+ stalled: its worker is gone, or .* blocked .* lock of 2000 ms/),
  ])
  goOn()
  // What it has done is for nobody: BullMQ does not take it, and the call has ended.
  const { reported } = await blocked.nextMessage(has('reported'), 10_000)
  expect(reported).toMatch(/^Lane work~1: Missing lock for job \S+ moveToFinished$/)
  expect(runs).toEqual([7])
  const lane = stage.bullmq('work~1')
  const [record] = await lane.getCompleted()
  expect(record?.returnvalue).toBe(7)
  expect(ends).toEqual([7])
})

test('a job that blocks another thread keeps its lock, and its result counts', async () => {
  const { calling, ends, runs, goOn } = await blocking('thread')
  // Until the lock would have ended several times, had it not been renewed.
  const lane = stage.bullmq('work~1')
  const [active] = await lane.getActive()
  const redis = new Redis(stage.redis)
  onTestFinished(() => redis.disconnect())
  const begun = performance.now()
  const isHeld = async () => {
    expect(await redis.exists(`${stage.prefix}:work~1:${active?.id}:lock`)).toBe(1)
    return performance.now() - begun > 2.5 * stalled.lockDurationMs
  }
  await until(isHeld, { deadlineMs: 10_000, message: 'more than twice the time of the lock' })
  expect(ends).toEqual([])
  goOn()
  await calling
  expect(ends).toEqual([-7])
  expect(runs).toEqual([])
  expect(stage.reports).toEqual([])
})
