import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type Pushed } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

async function startWorker(handler: (n: number) => Promise<number> = async n => n) {
  const db = stage.db()
  const levels: number[] = []
  const worker = stage.worker(db)
  worker.handle(job, async ({ n }) => {
    levels.push(db.current.level)
    return await handler(n)
  })
  await worker.start()
  return { worker, levels }
}

test('a push runs at level 1 wherever it was made, or at the level given', async () => {
  const { levels } = await startWorker()
  const db = stage.db()
  const queues = stage.queues(db)
  const outside = await queues.push(job, { n: 1 })
  expect(await outside.result()).toBe(1)
  const inside = await db.run(() => db.switchDb(() => queues.push(job, { n: 2 }), { level: 2 }))
  expect(await inside.result()).toBe(2)
  const given = await queues.push(job, { n: 3 }, { dbInfo: { level: 3 } })
  expect(await given.result()).toBe(3)
  expect(levels).toEqual([1, 1, 3])
})

test('a push in a transaction is sent after the commit', async () => {
  await startWorker()
  const db = stage.db()
  const queues = stage.queues(db)
  const pushed = await db.run(() =>
    db.transaction.begin(async () => {
      const made = await queues.push(job, { n: 4 })
      expect(await queues.queue(job).getJob(made.id)).toBeUndefined()
      await expect(made.result()).rejects.toMatchObject({ code: 'AWAIT_BEFORE_COMMIT', outcome: 'not-applied' })
      return made
    }),
  )
  expect(await pushed.result()).toBe(4)
})

test('a push of what cannot be serialised fails in the body: nothing is written, and nothing is sent', async () => {
  const any = defineJob({ name: 'any', input: z.any(), output: z.any() })
  const circle: { self?: unknown } = {}
  circle.self = circle
  const db = stage.db()
  const queues = stage.queues(db)
  for (const data of [1n, circle, { at: new Date(0) }, { run: () => {} }]) {
    let first = ''
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        first = (await queues.push(job, { n: 1 })).id
        await queues.push(any, data)
      }),
    )
    await expect(begun).rejects.toMatchObject({ code: 'INPUT_INVALID', outcome: 'not-applied' })
    expect(await queues.queue(job).getJob(first)).toBeUndefined()
  }
})

test.each([
  ['an id that is a number', { jobId: '7' }],
  ['a fraction of a priority', { priority: 1.5 }],
  ['a deduplication without an id', { deduplication: { id: '' } }],
])('a push with %s fails in the body, not after the commit', async (_, options) => {
  const db = stage.db()
  const queues = stage.queues(db)
  const begun = db.run(() => db.transaction.begin(() => queues.push(job, { n: 1 }, options)))
  await expect(begun).rejects.toMatchObject({ code: 'SEND_FAILED', outcome: 'not-applied' })
  expect(stage.reports).toEqual([])
})

test('a push in a body without transaction is sent at once', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  await db.run(() =>
    db.transaction.begin(async () => {
      const push = async () => {
        const { id } = await queues.push(job, { n: 1 })
        expect(await queues.queue(job).getJob(id)).toBeDefined()
      }
      await db.transaction.begin(push, { propagation: 'not-supported' })
    }),
  )
})

test('a push in a transaction that is rolled back is never sent', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  let made: Pushed<number> | undefined
  const rolledBack = db.run(() =>
    db.transaction.begin(async () => {
      made = await queues.push(job, { n: 4 })
      throw new Error('no')
    }),
  )
  await expect(rolledBack).rejects.toThrow('no')
  expect(await queues.queue(job).getJobCountByTypes('wait', 'active', 'completed', 'delayed')).toBe(0)
  await expect(made?.result()).rejects.toMatchObject({ code: 'AWAIT_BEFORE_COMMIT' })
})

test('a call in a transaction is sent at once', async () => {
  await startWorker()
  const db = stage.db()
  const queues = stage.queues(db)
  expect(await db.run(() => db.transaction.begin(() => queues.pushAsync(job, { n: 5 })))).toBe(5)
})

test('the result of a push is not awaited at its own level, nor below a push', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(db)
  const codes: unknown[] = []
  worker.handle(job, async ({ n }) => {
    if (n === 0) return 0
    for (const level of [1, 2]) {
      const pushed = await queues.push(job, { n: 0 }, { dbInfo: { level } })
      await pushed.result().catch((error: { code: string }) => codes.push(error.code))
    }
    return n
  })
  await worker.start()
  const pushed = await queues.push(job, { n: 1 })
  expect(await pushed.result()).toBe(1)
  expect(codes).toEqual(['LEVEL_ORDER', 'LEVEL_ORDER'])
})

test('a failed push tells its error, and its attempts are BullMQ’s', async () => {
  let runs = 0
  await startWorker(async n => {
    runs += 1
    if (n < 0 || runs < 3) throw new RangeError(`Run ${runs}`)
    return runs
  })
  const queues = stage.queues(stage.db())
  const retried = await queues.push(job, { n: 1 }, { attempts: 3, backoff: { type: 'fixed', delay: 5 } })
  expect(await retried.result()).toBe(3)
  const failed = await queues.push(job, { n: -1 })
  await expect(failed.result()).rejects.toMatchObject({ code: 'JOB_FAILED', cause: { name: 'RangeError' } })
})

test('delay, priority, deduplication, job ids and schedulers pass through', async () => {
  const queues = stage.queues(stage.db())
  const delayed = await queues.push(job, { n: 1 }, { delay: 60_000 })
  const first = await queues.push(job, { n: 2 }, { priority: 5, deduplication: { id: 'once' } })
  const second = await queues.push(job, { n: 3 }, { deduplication: { id: 'once' } })
  const chosen = await queues.push(job, { n: 4 }, { jobId: 'chosen' })
  const queue = queues.queue(job)
  expect(await queue.getJobState(delayed.id)).toBe('delayed')
  expect(await queue.getJobState(first.id)).toBe('prioritized')
  expect(second.id).toBe(first.id)
  expect(chosen.id).toBe('chosen')
  await queue.upsertJobScheduler('nightly', { every: 3_600_000 }, { name: 'work', data: { n: 5 } })
  expect(await queue.getJobSchedulersCount()).toBe(1)
  await expect(delayed.result({ deadlineMs: 50 })).rejects.toMatchObject({ code: 'CALL_TIMEOUT' })
})

test('a job that BullMQ refuses before it is sent was not applied', async () => {
  const queues = stage.queues(stage.db())
  for (const options of [{ jobId: 'a:b' }, { jobId: '42' }, { priority: 1e9 }, { sizeLimit: 3 }]) {
    const refused = { code: 'SEND_FAILED', outcome: 'not-applied' }
    await expect(queues.push(job, { n: 1000 }, options)).rejects.toMatchObject(refused)
  }
  const own = queues.push(job, { n: 1 }, { attempts: 2, backoff: { type: 'own' } })
  await expect(own).rejects.toMatchObject({ code: 'OPTION_REFUSED', outcome: 'not-applied' })
  const parent = { id: 'nobody', queue: `${stage.prefix}:work` }
  const orphan = queues.push(job, { n: 1 }, { parent })
  await expect(orphan).rejects.toMatchObject({ code: 'SEND_FAILED', outcome: 'not-applied' })
  expect(await queues.queue(job).getJobCountByTypes('wait', 'prioritized')).toBe(0)
})

test('what puts a call off or lets others overtake it is refused', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const refused = [
    { delay: 1 },
    { priority: 1 },
    { lifo: true },
    { repeat: { every: 100 } },
    { parent: { id: 'parent', queue: `${stage.prefix}:work` } },
    { deduplication: { id: 'x', ttl: 1 } },
    { deadlineMs: 0 },
    { deadlineMs: Number.POSITIVE_INFINITY },
  ]
  for (const options of refused) {
    const calling = db.run(() => queues.pushAsync(job, { n: 1 }, options))
    await expect(calling).rejects.toMatchObject({ code: 'OPTION_REFUSED', outcome: 'not-applied' })
  }
})

test('input that does not fit, or is not JSON, is refused with its path before anything is sent', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const loose = defineJob({ name: 'loose', input: z.object({ at: z.any() }), output: z.void() })
  await expect(queues.push(job, { n: 'x' } as never)).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    outcome: 'not-applied',
    details: { issues: [{ path: '$.n' }] },
  })
  for (const [at, path] of [
    [new Date(), '$.at'],
    [[1, 2n], '$.at[1]'],
    [{ deep: new Map() }, '$.at.deep'],
    [Number.NaN, '$.at'],
  ] as const) {
    const calling = db.run(() => queues.pushAsync(loose, { at }))
    await expect(calling).rejects.toMatchObject({ code: 'INPUT_INVALID', details: { issues: [{ path }] } })
  }
})

test('a call with attempts ends with its last one', async () => {
  let runs = 0
  await startWorker(async n => {
    runs += 1
    if (runs < n) throw new Error(`Run ${runs}`)
    return runs
  })
  const db = stage.db()
  const queues = stage.queues(db)
  expect(await db.run(() => queues.pushAsync(job, { n: 3 }, { attempts: 3 }))).toBe(3)
  runs = 0
  const failing = db.run(() => queues.pushAsync(job, { n: 9 }, { attempts: 2 }))
  await expect(failing).rejects.toMatchObject({ code: 'JOB_FAILED', cause: { message: 'Run 2' } })
})

test('a transform of a schema runs once in each direction', async () => {
  const dated = defineJob({
    name: 'dated',
    input: z.object({ at: z.string().transform(text => new Date(text)) }),
    output: z.string().transform(text => new Date(text)),
  })
  const worker = stage.worker(stage.db())
  worker.handle(dated, async ({ at }) => new Date(at.getTime() + 1000).toISOString())
  await worker.start()
  const db = stage.db()
  const queues = stage.queues(db)
  const result = await db.run(() => queues.pushAsync(dated, { at: '2026-01-01T00:00:00.000Z' }))
  expect(result).toEqual(new Date('2026-01-01T00:00:01.000Z'))
})

test('a result whose record cannot be read is a typed error', async () => {
  const queues = stage.queues(stage.db())
  const pushed = await queues.push(job, { n: 1 })
  await queues.stop()
  await expect(pushed.result()).rejects.toMatchObject({
    code: 'REDIS_UNREACHABLE',
    outcome: 'unknown',
    details: { id: pushed.id },
  })
})

test('a result that does not fit is an error that says the work was done, and the job does not run again', async () => {
  let runs = 0
  await startWorker(async () => {
    runs += 1
    return 1n as never
  })
  const db = stage.db()
  const queues = stage.queues(db)
  const calling = db.run(() => queues.pushAsync(job, { n: 1 }, { attempts: 5 }))
  await expect(calling).rejects.toMatchObject({
    code: 'RESULT_INVALID',
    outcome: 'applied',
    details: { issues: [{ path: '$' }] },
  })
  expect(runs).toBe(1)
})

test('a handler that returns nothing gives undefined, over the reply and over the record', async () => {
  const quiet = defineJob({ name: 'quiet', input: z.void(), output: z.void() })
  const worker = stage.worker(stage.db())
  worker.handle(quiet, async () => {})
  await worker.start()
  const db = stage.db()
  const queues = stage.queues(db)
  expect(await db.run(() => queues.pushAsync(quiet, undefined))).toBeUndefined()
  const pushed = await queues.push(quiet, undefined)
  expect(await pushed.result()).toBeUndefined()
})

test('an aborted call removes a job that has not started', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  await queues.start()
  const abort = new AbortController()
  const calling = db.run(() => queues.pushAsync(job, { n: 1 }, { signal: abort.signal }))
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getWaitingCount()) === 1, { deadlineMs: 5000, message: 'the job to wait' })
  abort.abort(new Error('enough'))
  await expect(calling).rejects.toMatchObject({
    code: 'CALL_ABORTED',
    outcome: 'not-applied',
    cause: { message: 'enough' },
  })
  expect(await lane.getWaitingCount()).toBe(0)
  const before = db.run(() => queues.pushAsync(job, { n: 1 }, { signal: abort.signal }))
  await expect(before).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'not-applied' })
})

test('a call inside a job gets no more time than its caller has left', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const outer = defineJob({ name: 'outer', input: z.object({}), output: z.number() })
  const held = gate()
  const worker = stage.worker(db)
  worker.handle(outer, async () => await queues.pushAsync(job, { n: 1 }))
  worker.handle(job, async ({ n }) => {
    await held.wait()
    return n
  })
  await worker.start()
  const begun = performance.now()
  const calling = db.run(() => queues.pushAsync(outer, {}, { deadlineMs: 600 }))
  await expect(calling).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
  // By its own default it would have had 30 s.
  expect(performance.now() - begun).toBeLessThan(7000)
  held.open()
})
