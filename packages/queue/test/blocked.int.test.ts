import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnNode, until } from '@strata/testkit'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { Stage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const blockedWorker = fileURLToPath(new URL('process/blocked-worker.ts', import.meta.url))

let stage: Stage

beforeEach(() => {
  stage = new Stage()
})

afterEach(async () => {
  await stage.clear()
})

const has = <K extends string>(key: K) => {
  return (message: unknown): message is Record<K, unknown> =>
    typeof message === 'object' && message !== null && key in message
}

test('a job whose worker’s event loop is blocked runs elsewhere, and its call ends once, with that result', async () => {
  const file = join(tmpdir(), `strata-${randomUUID()}`)
  onTestFinished(() => rmSync(file, { force: true }))
  await using blocked = await spawnNode(blockedWorker, { args: [stage.redis, stage.prefix, file], ipc: true })
  await blocked.nextMessage(has('ready'), 20_000)
  const db = stage.db()
  const queues = stage.queues(db)
  const ends: unknown[] = []
  const calling = db.run(() => queues.pushAsync(job, { n: 7 })).then(value => ends.push(value))
  await blocked.nextMessage(has('begun'), 10_000)
  const second = stage.worker(stage.db(), { stalled: { lockDurationMs: 1000, stalledIntervalMs: 500 } })
  let runs = 0
  second.handle(job, async ({ n }) => {
    runs += 1
    return n
  })
  await second.start()
  await calling
  await until(() => stage.reports.length > 0, { deadlineMs: 5000, message: 'the stall to be reported' })
  expect(stage.reports).toEqual([
    expect.stringMatching(/^Lane work~1: Job \S+ stalled: its worker is gone, or .* blocked .* lock of 1000 ms/),
  ])
  writeFileSync(file, '')
  // What it has done is for nobody: BullMQ does not take it, and the call has ended.
  const { reported } = await blocked.nextMessage(has('reported'), 10_000)
  expect(reported).toMatch(/^Lane work~1: Missing lock for job \S+ moveToFinished$/)
  expect(runs).toBe(1)
  const lane = stage.bullmq('work~1')
  const [record] = await lane.getCompleted()
  expect(record?.returnvalue).toBe(7)
  expect(ends).toEqual([7])
})
