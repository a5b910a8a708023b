import { fileURLToPath } from 'node:url'
import { type NodeProcess, spawnNode, until } from '@strata/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const putBackWorker = fileURLToPath(new URL('process/put-back-worker.ts', import.meta.url))

/** As in the process that is killed. */
const stalled = { lockDurationMs: 2000, stalledIntervalMs: 500 }

const stage = useStage()

const run =
  (n: number) =>
  (message: unknown): message is { run: number } =>
    typeof message === 'object' && message !== null && 'run' in message && message.run === n

async function kill(process: NodeProcess): Promise<void> {
  process.kill('SIGKILL')
  await process.exited
}

/** A call whose job a process puts back, until `isReached` says that the process is to be killed; then another worker comes. */
async function killed(putBacks: number, isReached: (process: NodeProcess) => Promise<unknown>) {
  const process = await spawnNode(putBackWorker, { args: [stage.redis, stage.prefix, String(putBacks)], ipc: true })
  onTestFinished(() => process[Symbol.asyncDispose]())
  await process.nextMessage(run(0), 20_000)
  const db = stage.db({ lockWaitMs: 60_000 })
  const queues = stage.queues(db)
  const ends: unknown[] = []
  const calling = db
    .run(() => queues.pushAsync(job, { n: 7 }, { attempts: 1 }))
    .then(
      value => ends.push(value),
      error => ends.push(error),
    )
  await isReached(process)
  await kill(process)
  const runs: { id: string | undefined; attempts: number }[] = []
  const second = stage.worker(stage.db({ lockWaitMs: 60_000 }), { stalled })
  second.handle(job, async ({ n }, { job: { id, attemptsMade } }) => {
    runs.push({ id, attempts: attemptsMade })
    return n
  })
  await second.start()
  await calling
  return { ends, runs }
}

/** Once, and with nothing left that could run it again. */
async function expectOneEnd({ ends, runs }: Awaited<ReturnType<typeof killed>>): Promise<void> {
  expect(ends).toEqual([7])
  expect(runs).toEqual([{ id: expect.any(String), attempts: 0 }])
  const { completed, ...rest } = await stage
    .bullmq('work~1')
    .getJobCounts('completed', 'failed', 'active', 'wait', 'delayed')
  expect(completed).toBe(1)
  expect(rest).toEqual({ failed: 0, active: 0, wait: 0, delayed: 0 })
}

test('a job whose worker is killed while it is put back runs elsewhere, and its call ends once', async () => {
  const lane = stage.bullmq('work~1')
  const isDelayed = async () => (await lane.getDelayedCount()) === 1
  const ended = await killed(Number.POSITIVE_INFINITY, async process => {
    await process.nextMessage(run(1), 10_000)
    await until(isDelayed, { deadlineMs: 10_000, message: 'the job to be put back' })
  })
  await expectOneEnd(ended)
})

test('so does one whose worker is killed in its next run, after it was put back', async () => {
  const ended = await killed(1, process => process.nextMessage(run(2), 10_000))
  await expectOneEnd(ended)
})
