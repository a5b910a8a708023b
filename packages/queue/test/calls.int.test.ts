import { StrataError } from '@strata/db-context'
import { gate } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const double = defineJob({ name: 'double', input: z.object({ n: z.number() }), output: z.number() })
const nest = defineJob({ name: 'nest', input: z.object({ depth: z.number() }), output: z.array(z.number()) })

const stage = useStage()

test('a call returns the result of the handler', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(double, async ({ n }) => n * 2)
  await worker.start()
  expect(await db.run(() => queues.pushAsync(double, { n: 21 }))).toBe(42)
  expect(queues.waiting()).toEqual([])
})

test('a call outside any unit of work is refused', async () => {
  const queues = stage.queues(stage.db())
  await expect(queues.pushAsync(double, { n: 1 })).rejects.toMatchObject({ code: 'CONTEXT_MISSING' })
})

function nestingWorkers(isolation: 'levels' | 'none') {
  return [1, 2].map(() => {
    const db = stage.db({ isolation })
    const queues = stage.queues(db)
    const worker = stage.worker(db, { lanes: { slots: 1 } })
    worker.handle(nest, async ({ depth }) => {
      const { level } = db.current
      const deeper = depth > 1 ? await queues.pushAsync(nest, { depth: depth - 1 }) : []
      return [level, ...deeper]
    })
    return worker
  })
}

test('calls nested three deep complete with lanes of one slot', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const workers = nestingWorkers('levels')
  await Promise.all(workers.map(worker => worker.start()))
  const roots = Array.from({ length: 10 }, () => db.run(() => queues.pushAsync(nest, { depth: 3 })))
  expect(await Promise.all(roots)).toEqual(roots.map(() => [1, 2, 3]))
})

test('the same calls in one lane wait for each other until their deadline', async () => {
  const db = stage.db({ isolation: 'none' })
  const queues = stage.queues(db)
  const workers = nestingWorkers('none')
  await Promise.all(workers.map(worker => worker.start()))
  const roots = Array.from({ length: 10 }, () =>
    db.run(() => queues.pushAsync(nest, { depth: 3 }, { deadlineMs: 1500 })),
  )
  const ends = await Promise.allSettled(roots)
  const codes = ends.map(end => (end.status === 'rejected' ? end.reason.code : 'completed'))
  expect(new Set(codes)).toEqual(new Set(['CALL_TIMEOUT']))
})

test('a StrataError of the handler arrives as it was thrown', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(double, async () => {
    throw new StrataError('INSUFFICIENT_FUNDS', 'Account 7 has 3 cents', {
      outcome: 'not-applied',
      details: { account: 7 },
      cause: new TypeError('low'),
    })
  })
  await worker.start()
  const error = await db.run(() => queues.pushAsync(double, { n: 1 })).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StrataError)
  expect(error).toMatchObject({
    code: 'INSUFFICIENT_FUNDS',
    message: 'Account 7 has 3 cents',
    outcome: 'not-applied',
    details: { account: 7 },
    cause: { name: 'TypeError', message: 'low' },
  })
  expect((error as { remoteStack?: string }).remoteStack).toContain('calls.int.test')
})

test('any other error is the cause of JOB_FAILED', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(double, async () => {
    throw Object.assign(new RangeError('Too far'), { code: 112, errorLabels: ['TransientTransactionError'] })
  })
  await worker.start()
  await expect(db.run(() => queues.pushAsync(double, { n: 1 }))).rejects.toMatchObject({
    code: 'JOB_FAILED',
    outcome: 'unknown',
    details: { job: 'double', code: 112, labels: ['TransientTransactionError'] },
    cause: { name: 'RangeError', message: 'Too far', code: 112 },
  })
})

test('a call that nobody serves ends at its deadline and its job is removed', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  await queues.start()
  const begun = performance.now()
  await expect(db.run(() => queues.pushAsync(double, { n: 1 }, { deadlineMs: 300 }))).rejects.toMatchObject({
    code: 'CALL_TIMEOUT',
    outcome: 'not-applied',
  })
  // Its deadline and a second, and what a busy machine adds.
  expect(performance.now() - begun).toBeLessThan(6300)
  const worker = stage.worker(stage.db())
  const ran: number[] = []
  worker.handle(double, async ({ n }) => {
    ran.push(n)
    return n
  })
  await worker.start()
  expect(await db.run(() => queues.pushAsync(double, { n: 2 }))).toBe(2)
  expect(ran).toEqual([2])
})

test('a call whose job runs past the deadline does not know what became of it', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  const aborted = gate()
  worker.handle(double, async ({ n }, { signal }) => {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    aborted.open()
    return n
  })
  await worker.start()
  await expect(db.run(() => queues.pushAsync(double, { n: 1 }, { deadlineMs: 400 }))).rejects.toMatchObject({
    code: 'CALL_TIMEOUT',
    outcome: 'unknown',
  })
  await aborted.wait()
})
