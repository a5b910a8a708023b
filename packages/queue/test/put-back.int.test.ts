import { dbContextError } from '@strata/db-context'
import { FakeDatasource, FakeStore } from '@strata/db-context/conformance'
import { until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const write = defineJob({ name: 'write', input: z.object({ n: z.number() }), output: z.number() })
const parent = defineJob({ name: 'parent', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

/** What the database says to a job that has done nothing yet. */
const blocked = () => dbContextError('LOCK_BLOCKED', 'Other work held the document')

async function start(lockWaitMs: number, isHeld: (run: number) => boolean, slots = 1) {
  const db = stage.db({ lockWaitMs })
  const queues = stage.queues(db)
  const runs: { id: string; attempts: number }[] = []
  const own = stage.db({ lockWaitMs })
  const worker = stage.worker(own, { lanes: { slots } })
  worker.handle(write, async ({ n }, { job }) => {
    if (n === 0) return 0
    runs.push({ id: job.id ?? '', attempts: job.attemptsMade })
    if (isHeld(runs.length)) throw new Error('wrapped', { cause: blocked() })
    return runs.length
  })
  await worker.start()
  const call = (n = 1, options = {}) => db.run(() => queues.pushAsync(write, { n }, options))
  return { db, queues, worker, runs, call, own }
}

const counts = (lane: string) => stage.bullmq(lane).getJobCounts()

test('a job that waits for a document goes to the tail of its lane: no attempt is counted, and its slot serves others', async () => {
  let isHeld = true
  const { call, runs } = await start(20_000, () => isHeld)
  const waiting = call(1, { attempts: 1 })
  await until(() => runs.length > 2, { message: 'the job to be put back', deadlineMs: 10_000 })
  expect(await call(0)).toBe(0)
  isHeld = false
  expect(await waiting).toBe(runs.length)
  expect(new Set(runs.map(({ attempts }) => attempts))).toEqual(new Set([0]))
})

test('a push is put back as a call is', async () => {
  const { queues, runs } = await start(20_000, run => run < 4)
  const pushed = await queues.push(write, { n: 1 })
  expect(await pushed.result({ deadlineMs: 10_000 })).toBe(4)
  expect(runs).toHaveLength(4)
})

test('after lockWaitMs the call ends with LOCK_TIMEOUT, and nothing was applied', async () => {
  const { call, runs } = await start(500, () => true)
  await expect(call()).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied', transient: true })
  expect(runs.length).toBeGreaterThan(1)
})

test('in a transaction of another process that is said to be the possible holder', async () => {
  const { call, db } = await start(500, () => true)
  const begun = db.run(() => db.transaction.begin(() => call(), { name: 'outer', retries: 0 }))
  await expect(begun).rejects.toMatchObject({
    code: 'LOCK_TIMEOUT',
    message: expect.stringContaining('or a transaction that awaits it'),
    details: { certain: false, ancestors: [{ name: 'outer', level: 0 }] },
  })
})

test('what the handler does with the error is its own affair: a result stands', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(write, () => Promise.reject(blocked()).catch(() => 7))
  await worker.start()
  expect(await db.run(() => queues.pushAsync(write, { n: 1 }))).toBe(7)
})

test('without isolation no job is put back', async () => {
  const db = stage.db({ isolation: 'none' })
  const queues = stage.queues(db)
  const own = stage.db({ isolation: 'none' })
  const worker = stage.worker(own)
  let runs = 0
  worker.handle(write, async () => {
    runs += 1
    throw blocked()
  })
  await worker.start()
  await expect(db.run(() => queues.pushAsync(write, { n: 1 }))).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
  expect(runs).toBe(1)
})

test('a job that has called is not put back: its work is not done twice', async () => {
  const { db, queues, own, runs } = await start(20_000, () => false)
  const inner = stage.queues(own)
  const worker = stage.worker(own)
  let begun = 0
  worker.handle(parent, async () => {
    begun += 1
    await inner.pushAsync(write, { n: 1 })
    throw blocked()
  })
  await worker.start()
  const calling = db.run(() => queues.pushAsync(parent, { n: 1 }))
  await expect(calling).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'unknown', transient: false })
  expect([begun, runs.length]).toEqual([1, 1])
})

test('a deadline that passes while the job is put back ends the call, not applied, and removes the job', async () => {
  const { call, runs, worker } = await start(20_000, () => true)
  const calling = call(1, { deadlineMs: 3000 })
  calling.catch(() => {})
  await until(() => runs.length > 1, { message: 'the job to be put back', deadlineMs: 2500 })
  // What is put back stays so: nobody takes it at the very moment of the deadline.
  await worker.stop()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'not-applied' })
  expect(Object.values(await counts('write~1')).every(n => n === 0)).toBe(true)
})

test('a call that is given up while its job is put back is not applied', async () => {
  const { call, runs } = await start(20_000, () => true)
  const giveUp = new AbortController()
  const calling = call(1, { signal: giveUp.signal })
  calling.catch(() => {})
  const isDelayed = async () => ((await counts('write~1'))['delayed'] ?? 0) > 0
  await until(isDelayed, { message: 'the job to be put back', deadlineMs: 10_000 })
  giveUp.abort()
  await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED' })
  const seen = runs.length
  expect(await call(0)).toBe(0)
  expect(runs.length - seen).toBeLessThanOrEqual(1)
})

test('a job that is put back while its worker stops is run by another one', async () => {
  let isHeld = true
  const { worker, call, runs } = await start(20_000, () => isHeld)
  const calling = call()
  await until(() => runs.length > 1, { message: 'the job to be put back', deadlineMs: 10_000 })
  await worker.stop()
  isHeld = false
  const other = stage.worker(stage.db())
  other.handle(write, async () => 99)
  await other.start()
  expect(await calling).toBe(99)
})

test('the transaction of a call that was held up too long is run again as a whole, its pool free meanwhile', async () => {
  const { queues: _, runs, call } = await start(400, run => run < 9)
  const datasource = new FakeDatasource({ store: new FakeStore() })
  const db = stage.db({ datasource, lockWaitMs: 400 })
  const queues = stage.queues(db)
  let attempts = 0
  let isFree = false
  const value = db.run(() =>
    db.transaction.begin(
      async () => {
        attempts += 1
        await datasource.add('x')
        if (attempts > 1) isFree = true
        return await queues.pushAsync(write, { n: 1 })
      },
      { retries: 20 },
    ),
  )
  expect(await value).toBeGreaterThan(0)
  expect([isFree, attempts > 1, db.pools().some(({ inUse }) => inUse > 0)]).toEqual([true, true, false])
  expect(await db.run(() => datasource.read('x'))).toBe(1)
  expect(new Set(runs.map(({ id }) => id)).size).toBe(attempts)
  expect(await call(0)).toBe(0)
})

test('only the outermost transaction of a chain is run again', async () => {
  const { own } = await start(300, () => true)
  const inner = stage.queues(own)
  const worker = stage.worker(own)
  const bodies = { outer: 0, inner: 0 }
  worker.handle(parent, () =>
    own.transaction.begin(() => {
      bodies.inner += 1
      return inner.pushAsync(write, { n: 1 })
    }),
  )
  await worker.start()
  const db = stage.db({ lockWaitMs: 300 })
  const queues = stage.queues(db)
  const begun = db.run(() =>
    db.transaction.begin(
      () => {
        bodies.outer += 1
        return queues.pushAsync(parent, { n: 1 })
      },
      { retries: 2 },
    ),
  )
  await expect(begun).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied' })
  expect(bodies).toEqual({ outer: 3, inner: 3 })
})

test('a transaction whose retries are off, or that has had effects, is not unwound', async () => {
  const { db, queues } = await start(300, () => true)
  let attempts = 0
  const body = () => {
    attempts += 1
    return queues.pushAsync(write, { n: 1 })
  }
  const begun = db.run(() => db.transaction.begin(body, { retries: 0 }))
  await expect(begun).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
  const inner = () => db.transaction.begin(async () => {}, { propagation: 'requires-new', name: 'audit' })
  const withEffect = db.run(() => db.transaction.begin(() => inner().then(body)))
  await expect(withEffect).rejects.toMatchObject({ code: 'RETRY_UNSAFE', outcome: 'unknown' })
  expect(attempts).toBe(2)
})

/** What an inbox says of a message that another run handles. */
const inProgress = () => dbContextError('MESSAGE_IN_PROGRESS', 'The message is being handled')

async function startDuplicate(body: (run: number) => Promise<number>) {
  const db = stage.db({ lockWaitMs: 100 })
  const queues = stage.queues(db)
  const own = stage.db({ lockWaitMs: 100 })
  const worker = stage.worker(own, { lanes: { slots: 1 } })
  let runs = 0
  worker.handle(write, () => {
    runs += 1
    return body(runs)
  })
  await worker.start()
  return { db, queues, own, runs: () => runs }
}

test('a job whose message another run handles is put back for longer than lockWaitMs, until that run has ended', async () => {
  const since = performance.now()
  const { db, queues } = await startDuplicate(async run => {
    if (performance.now() - since < 1500) throw new Error('wrapped', { cause: inProgress() })
    return run
  })
  const pushed = await queues.push(write, { n: 1 })
  const called = await db.run(() => queues.pushAsync(write, { n: 1 }, { attempts: 1 }))
  expect(Math.min(called, await pushed.result({ deadlineMs: 10_000 }))).toBeGreaterThan(2)
})

test('a job that has done something besides is not put back: it fails, and may be applied', async () => {
  const { db, queues, own, runs } = await startDuplicate(async () => {
    await own.transaction.begin(async () => {})
    throw inProgress()
  })
  const call = db.run(() => queues.pushAsync(write, { n: 1 }))
  await expect(call).rejects.toMatchObject({ code: 'MESSAGE_IN_PROGRESS', outcome: 'unknown', transient: false })
  expect(runs()).toBe(1)
})
