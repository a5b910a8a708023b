import { FakeDatasource, FakeStore } from '@strata/db-context/conformance'
import { gate, until } from '@strata/testkit'
import type { Job } from 'bullmq'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const work = defineJob({
  name: 'work',
  input: z.object({ n: z.number() }),
  output: z.object({ n: z.number(), run: z.number() }),
})
const other = defineJob({ name: 'other', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

type Handler = (n: number, job: Job, signal: AbortSignal) => Promise<void> | void

/** A caller whose transactions are rolled back, and run again, while somebody else has written `x`. */
async function start({
  isolation = 'levels',
  handler = () => {},
}: {
  isolation?: 'levels' | 'none'
  handler?: Handler
} = {}) {
  const store = new FakeStore()
  const datasource = new FakeDatasource({ store })
  const db = stage.db({ datasource, isolation, lockWaitMs: 20_000 })
  const queues = stage.queues(db)
  const ids: string[] = []
  const worker = stage.worker(stage.db({ isolation }))
  worker.handle(work, async ({ n }, { job, signal }) => {
    ids.push(job.id ?? '')
    await handler(n, job, signal)
    return { n, run: ids.length }
  })
  worker.handle(other, async ({ n }) => n)
  await worker.start()
  const holder = {}
  store.lock('x', holder)
  const call = (n: number, options = {}) => queues.pushAsync(work, { n }, options)
  return { db, datasource, queues, call, ids, free: () => store.unlock(holder) }
}

/** Runs a body that meets the lock after its first attempt's work, and is free of it in the second. */
async function inTwoAttempts<T>(
  started: Awaited<ReturnType<typeof start>>,
  body: (attempt: number) => Promise<T>,
): Promise<T> {
  const { db, datasource, free } = started
  let attempts = 0
  const value = await db.run(() =>
    db.transaction.begin(async () => {
      attempts += 1
      const given = await body(attempts)
      if (attempts === 2) free()
      await datasource.add('x')
      return given
    }),
  )
  expect(attempts).toBe(2)
  return value
}

describe.each(['levels', 'none'] as const)('with isolation %s', isolation => {
  test('a body that runs again gets the results of the calls that it made, and no job runs twice', async () => {
    const started = await start({ isolation })
    const seen: unknown[] = []
    const id = await inTwoAttempts(started, async () => {
      const first = await started.call(1)
      seen.push({ ...first })
      first.n = 99
      seen.push(await started.call(2))
      return started.db.current.transaction?.id
    })
    expect(seen).toEqual([1, 2, 1, 2].map(n => ({ n, run: n })))
    expect(started.ids).toEqual([`${id}.0`, `${id}.1`])
  })
})

test('calls made at once are numbered in the order in which they are made', async () => {
  const started = await start({ handler: n => new Promise(resolve => setTimeout(resolve, (50 - n) % 7)) })
  const make = () => Promise.all(Array.from({ length: 50 }, (_, n) => started.call(n)))
  const seen: (readonly { n: number }[])[] = []
  const id = await inTwoAttempts(started, async () => {
    seen.push(await make())
    return started.db.current.transaction?.id
  })
  expect(seen.map(all => all.map(({ n }) => n))).toEqual([0, 1].map(() => Array.from({ length: 50 }, (_, n) => n)))
  expect(seen[1]).toEqual(seen[0])
  expect(new Set(started.ids)).toEqual(new Set(Array.from({ length: 50 }, (_, n) => `${id}.${n}`)))
  expect(started.ids).toHaveLength(50)
})

test('a call that still runs when its attempt is rolled back is joined by the next one', async () => {
  const over = gate()
  const begun = gate()
  const aborted: boolean[] = []
  const started = await start({
    handler: async (_n, _job, signal) => {
      begun.open()
      await over.wait()
      aborted.push(signal.aborted)
    },
  })
  const { db, datasource, call, free } = started
  let attempts = 0
  const result = db.run(() =>
    db.transaction.begin(async () => {
      attempts += 1
      const calling = call(1)
      if (attempts === 1) {
        calling.catch(() => {})
        await begun.wait()
        await datasource.add('x')
      }
      free()
      if (attempts === 2) over.open()
      const [value] = await Promise.all([calling, datasource.add('y')])
      return value
    }),
  )
  expect(await result).toEqual({ n: 1, run: 1 })
  expect([started.ids.length, attempts, aborted]).toEqual([1, 2, [false]])
})

test('a call whose sibling fails for good is given up with the transaction', async () => {
  const begun = gate()
  const aborted = gate()
  const started = await start({
    handler: async (_n, _job, signal) => {
      begun.open()
      signal.addEventListener('abort', () => aborted.open(), { once: true })
      await aborted.wait()
    },
  })
  const { db, call } = started
  const fails = async () => {
    await begun.wait()
    throw new Error('sibling')
  }
  const result = db.run(() => db.transaction.begin(() => Promise.all([call(1), fails()])))
  await expect(result).rejects.toThrow('sibling')
  await aborted.wait()
})

test.each([
  ['another input', (started: Awaited<ReturnType<typeof start>>) => started.call(2)],
  ['another job', (started: Awaited<ReturnType<typeof start>>) => started.queues.pushAsync(other, { n: 1 })],
  ['another level', (started: Awaited<ReturnType<typeof start>>) => started.call(1, { dbInfo: { level: 2 } })],
  ['a chosen id', (started: Awaited<ReturnType<typeof start>>) => started.call(1, { jobId: 'mine' })],
])('a body that makes a call with %s in its place fails, also where it catches that', async (_, make) => {
  for (const catches of [false, true]) {
    const started = await start()
    const { db, datasource } = started
    let attempts = 0
    const result = db.run(() =>
      db.transaction.begin(async () => {
        attempts += 1
        if (attempts > 1 && catches) await make(started).catch(() => {})
        else if (attempts > 1) await make(started)
        else await started.call(1)
        if (attempts > 1) started.free()
        await datasource.add('x')
      }),
    )
    const divergence = { code: 'RETRY_DIVERGED', outcome: 'not-applied', transient: false }
    await expect(result).rejects.toMatchObject(catches ? { code: 'ROLLBACK_ONLY', cause: divergence } : divergence)
    expect([attempts, started.ids.length]).toEqual([2, 1])
    await stage.clear()
  }
})

test('a call that failed is sent again with a new id', async () => {
  let runs = 0
  const started = await start({
    handler: () => {
      runs += 1
      if (runs === 1) throw new Error('at first')
    },
  })
  const outcomes: unknown[] = []
  const id = await inTwoAttempts(started, async () => {
    outcomes.push(
      await started.call(1).then(
        ({ run }) => run,
        ({ code }) => code,
      ),
    )
    return started.db.current.transaction?.id
  })
  expect(outcomes).toEqual(['JOB_FAILED', 2])
  expect(started.ids).toEqual([`${id}.0`, `${id}.0-1`])
})

test('a transaction is not run again when nobody can say what became of its call', async () => {
  const over = gate()
  const started = await start({ handler: () => over.wait() })
  const { db, datasource, call } = started
  let attempts = 0
  const result = db.run(() =>
    db.transaction.begin(async () => {
      attempts += 1
      // Long enough for the job to begin on a busy machine: one that has not is known not to have run.
      await expect(call(1, { deadlineMs: 2000 })).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
      await datasource.add('x')
    }),
  )
  await expect(result).rejects.toMatchObject({
    code: 'RETRY_UNSAFE',
    outcome: 'unknown',
    details: { effects: ['call of work'] },
  })
  over.open()
  expect([attempts, started.ids.length]).toEqual([1, 1])
})

test('a call of an inner transaction that failed, or of a unit of its own, is found by the next attempt of the outer one', async () => {
  const started = await start()
  const { db, call } = started
  const seen: number[] = []
  await inTwoAttempts(started, async () => {
    const inner = async () => {
      seen.push((await call(1)).run, (await call(2)).run)
      throw new Error('inner')
    }
    await db.transaction.begin(inner, { propagation: 'requires-new' }).catch(() => {})
    seen.push((await db.run(() => db.switchDb(() => call(3), { level: 2 }))).run)
    seen.push((await db.switchDbIsolate(() => call(4))).run)
  })
  expect(seen).toEqual([1, 2, 3, 4, 1, 2, 3, 4])
  expect(started.ids).toHaveLength(4)
})

test('an inner transaction has the same id and time in each attempt of the outer one', async () => {
  const started = await start()
  const { db } = started
  const seen: unknown[] = []
  await inTwoAttempts(started, async () => {
    const look = async () => {
      seen.push(db.current.transaction?.id, db.current.transaction?.now.getTime())
      throw new Error('no')
    }
    await db.transaction.begin(look, { propagation: 'requires-new' }).catch(() => {})
  })
  expect(seen.slice(2)).toEqual(seen.slice(0, 2))
})

test('pushes of an attempt that is rolled back are dropped: each is sent once', async () => {
  const started = await start()
  await inTwoAttempts(started, async attempt => void (await started.queues.push(work, { n: attempt })))
  await until(() => started.ids.length > 0, { message: 'the push ran', deadlineMs: 5000 })
  const counts = await started.queues.queue(work).getJobCounts()
  expect((counts['completed'] ?? 0) + (counts['active'] ?? 0) + (counts['waiting'] ?? 0)).toBe(1)
})
