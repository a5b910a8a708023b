import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type PushAsyncOptions } from '../src/index.ts'
import { useStage } from './stage.ts'

const work = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const other = defineJob({ name: 'other', queue: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

/** A worker that counts what it runs. */
async function serve(handler: (n: number, run: number) => Promise<number> = async n => -n) {
  const worker = stage.worker(stage.db())
  const runs: number[] = []
  const handle = ({ n }: { n: number }) => {
    runs.push(n)
    return handler(n, runs.length)
  }
  worker.handle(work, handle)
  worker.handle(other, handle)
  await worker.start()
  return runs
}

/** A process, which begins a transaction under an id: any of them may have begun it before. */
function caller() {
  const db = stage.db()
  const queues = stage.queues(db)
  const call = (n: number, options: PushAsyncOptions = {}, job = work) => queues.pushAsync(job, { n }, options)
  const begin = <T>(body: () => Promise<T>, id = 'order-1') =>
    db.run(() => db.transaction.begin(body, { id, now: new Date(0) }))
  return { db, queues, call, begin }
}

const fails = () => Promise.reject(new Error('killed here'))

test('a transaction that another process begins again gets the results of the jobs that have run', async () => {
  const runs = await serve()
  const [one, two] = [caller(), caller()]
  await expect(one.begin(() => one.call(1).then(fails))).rejects.toThrow('killed here')
  expect(await two.begin(async () => [await two.call(1), await two.call(2)])).toEqual([-1, -2])
  expect(runs).toEqual([1, 2])
})

test('without an id a second process sends the job again: the symptom', async () => {
  const runs = await serve()
  const [one, two] = [caller(), caller()]
  const begin = ({ db, call }: typeof one) => db.run(() => db.transaction.begin(() => call(1)))
  await begin(one)
  await begin(two)
  expect(runs).toEqual([1, 1])
})

test('it waits for a job that still runs', async () => {
  const open = gate()
  const runs = await serve(async n => {
    await open.wait()
    return -n
  })
  const [one, two] = [caller(), caller()]
  const first = one.begin(() => one.call(1))
  await until(() => runs.length === 1, { deadlineMs: 10_000, message: 'the job to begin' })
  const second = two.begin(() => two.call(1))
  const both = Promise.all([first, second])
  await until(() => two.queues.waiting().length === 1, { deadlineMs: 10_000, message: 'the second to wait' })
  open.open()
  expect(await both).toEqual([-1, -1])
  expect(runs).toEqual([1])
})

test('a job that failed is run again under its id, in the same process and in another', async () => {
  const runs = await serve(async (n, run) => {
    if (run < 3) throw Object.assign(new Error('busy'), { code: 'BUSY', outcome: 'not-applied', transient: true })
    return -n
  })
  const [one, two] = [caller(), caller()]
  await expect(one.begin(() => one.call(1))).rejects.toMatchObject({ code: 'BUSY' })
  await expect(one.begin(() => one.call(1))).rejects.toMatchObject({ code: 'BUSY' })
  expect(await two.begin(() => two.call(1))).toBe(-1)
  expect(await one.begin(() => one.call(1))).toBe(-1)
  expect(runs).toEqual([1, 1, 1])
})

test.for<[string, (of: ReturnType<typeof caller>) => Promise<unknown>]>([
  ['another input', ({ call }) => call(2)],
  ['another job', ({ call }) => call(1, {}, other)],
])('%s under the same id is RETRY_DIVERGED, and nothing is committed', async ([, again]) => {
  const runs = await serve()
  const [one, two] = [caller(), caller()]
  await one.begin(() => one.call(1))
  const second = two.begin(() => again(two))
  await expect(second).rejects.toMatchObject({ code: 'RETRY_DIVERGED', outcome: 'not-applied', transient: false })
  const caught = two.begin(() => again(two).catch(() => 'caught'))
  await expect(caught).rejects.toMatchObject({ code: 'ROLLBACK_ONLY', cause: { code: 'RETRY_DIVERGED' } })
  expect(runs).toEqual([1])
})

test('a call whose id the body chose keeps it, and is joined with whatever input', async () => {
  const runs = await serve()
  const [one, two] = [caller(), caller()]
  expect(await one.begin(() => one.call(1, { jobId: 'mine' }))).toBe(-1)
  expect(await two.begin(() => two.call(2, { jobId: 'mine' }))).toBe(-1)
  expect(runs).toEqual([1])
})

test('a transaction of another id makes calls of its own', async () => {
  const runs = await serve()
  const one = caller()
  await one.begin(() => one.call(1), 'order-1')
  await one.begin(() => one.call(1), 'order-2')
  expect(runs).toEqual([1, 1])
})
