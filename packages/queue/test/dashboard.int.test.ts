import { readFileSync } from 'node:fs'
import { until } from '@strata/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { openDashboard } from './dashboard.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

interface Shown {
  readonly name: string
  readonly counts: Readonly<Record<string, number>>
  readonly jobs: readonly Readonly<Record<string, unknown>>[]
}

/** Calls at two levels, a push that ran and one that is put off, and a dashboard that shows them. */
async function board() {
  const db = stage.db({ levels: { max: 2 } })
  const queues = stage.queues(db)
  const worker = stage.worker(db)
  worker.handle(job, async ({ n }, { job: running }) => {
    await running.log(`ran ${n}`)
    await running.updateProgress(50)
    if (n < 0) throw new RangeError(`Not below 0: ${n}`)
    return n
  })
  await worker.start()
  await db.run(() => queues.pushAsync(job, { n: 1 }))
  await expect(db.run(() => queues.pushAsync(job, { n: -1 }))).rejects.toMatchObject({ code: 'JOB_FAILED' })
  await db.run(() => queues.pushAsync(job, { n: 2 }, { dbInfo: { level: 2 } }))
  await queues.push(job, { n: 3 }, { delay: 60_000 })
  await (await queues.push(job, { n: 4 })).result()
  const app = await openDashboard(queues, { url: stage.redis, prefix: stage.prefix })
  onTestFinished(() => app.close())
  const get = async (path: string) => (await app.inject(`/board/api/queues${path}`)).json()
  const put = async (path: string) => (await app.inject({ method: 'PUT', url: `/board/api/queues/${path}` })).statusCode
  const read = async (lane: string, status: string) => {
    const query = `?activeQueue=${lane}&status=${status}&page=1&jobsPerPage=10`
    const { queues: shown } = (await get(query)) as { queues: Shown[] }
    return { shown, jobs: shown.find(({ name }) => name === lane)?.jobs ?? [] }
  }
  return { app, db, queues, get, put, read }
}

test('bull-board shows every lane as a queue, with its counts', async () => {
  const { app, read } = await board()
  expect(await app.inject('/board')).toMatchObject({ statusCode: 200, body: expect.stringContaining('<title>') })
  const told = async () => {
    const { shown } = await read('work', 'latest')
    return shown.map(({ name, counts }) => [name, counts['completed'], counts['failed'], counts['delayed']].join(' '))
  }
  // A call may have its result before BullMQ has recorded the end.
  const isAll = async () => (await told()).join() === 'work 1 0 1,work~1 1 1 0,work~2 1 0 0'
  await until(isAll, { deadlineMs: 5000, message: 'every end to be recorded' })
})

test('bull-board shows what a job was given, how it ended, its progress and its log', async () => {
  const { read, get } = await board()
  const failed = async () => (await read('work~1', 'failed')).jobs
  await until(async () => (await failed()).length === 1, { deadlineMs: 5000, message: 'the end to be recorded' })
  const [found] = await failed()
  const shown = { name: 'work', data: { n: -1 }, failedReason: 'Not below 0: -1', isFailed: true, progress: 50 }
  expect(found).toMatchObject({ ...shown, stacktrace: [expect.stringContaining('RangeError')] })
  expect(await get(`/work~1/${String(found?.['id'])}/logs`)).toEqual(['ran -1'])
  expect(await get(`/work~1/${String(found?.['id'])}`)).toMatchObject({ job: shown, status: 'failed' })
  const { jobs: deep } = await read('work~2', 'completed')
  expect(deep).toMatchObject([{ data: { n: 2 }, returnValue: 2, isFailed: false }])
})

test('pushes can be handled in bull-board, and lanes of calls only looked at', async () => {
  const { db, queues, put, read } = await board()
  const [delayed] = (await read('work', 'delayed')).jobs
  expect(await put(`work/${String(delayed?.['id'])}/promote`)).toBe(204)
  const done = async () => (await read('work', 'completed')).jobs.length === 2
  await until(done, { deadlineMs: 5000, message: 'the promoted push to run' })
  expect(await put('work/pause')).toBe(200)
  await queues.push(job, { n: 5 })
  expect(await db.run(() => queues.pushAsync(job, { n: 6 }))).toBe(6)
  expect(await queues.queue(job).getWaitingCount()).toBe(1)
  expect(await put('work~1/pause')).toBe(405)
  expect(await put('work~1/retry/failed')).toBe(405)
})

test('the guide shows the dashboard that is tested here', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  expect(read('../../../docs/guides/dashboards.md')).toContain(`\`\`\`ts\n${read('dashboard.ts')}\`\`\``)
})
