import { type DbContext, hasCode, type Isolation, StrataError } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type Queues, queueError } from '../src/index.ts'
import { useStage } from './stage.ts'

const shape = { input: z.object({}), output: z.any() }
const outer = defineJob({ name: 'outer', ...shape })
const inner = defineJob({ name: 'inner', ...shape })
const served = defineJob({ name: 'served', ...shape })
const unserved = defineJob({ name: 'unserved', ...shape })

const stage = useStage()

interface Inside {
  readonly db: DbContext
  readonly data: FakeDatasource
  readonly queues: Queues
}

interface Options {
  /** What the deeper handler does: it refuses, or its result does not fit. */
  readonly refuse?: boolean
  readonly attempts?: number
  readonly isolation?: Isolation
}

/** What a call of a handler ends with. */
async function failureOf(handler: (inside: Inside) => Promise<unknown>, options: Options = {}) {
  const { refuse = true, attempts = 1, isolation = 'levels' } = options
  const data = new FakeDatasource({ pool: { timeoutMs: 200 } })
  const db = stage.db({ datasource: data, isolation })
  const queues = stage.queues(db, { callsMax: 1 })
  const worker = stage.worker(db)
  let runs = 0
  worker.handle(outer, async () => {
    runs += 1
    return await handler({ db, data, queues })
  })
  worker.handle(served, async () => 1)
  worker.handle(inner, async () => {
    if (refuse) throw new StrataError('INSUFFICIENT_FUNDS', 'Too little')
    return new Date(0)
  })
  await worker.start()
  const caller = stage.db({ isolation })
  const calls = stage.queues(caller)
  const error = await caller.run(() => calls.pushAsync(outer, {}, { attempts }).catch((thrown: unknown) => thrown))
  return { error, runs }
}

/** A statement that is refused: the only connection is in use around it. */
const refusedStatement = ({ data }: Inside) => data.occupy(() => data.add('b'))
const write = ({ data }: Inside) => data.add('a')
const unknown = (code: string, was = 'not-applied') => ({
  code,
  outcome: 'unknown',
  transient: false,
  cause: { code, outcome: was },
})

describe('an error that passes through a handler which has done something is unknown to its caller', () => {
  const effects: [string, (inside: Inside) => Promise<unknown>][] = [
    ['a plain write', write],
    ['a commit', inside => inside.db.transaction.begin(() => write(inside))],
    ['a push', ({ queues }) => queues.push(unserved, {})],
    ['a call', ({ queues }) => queues.pushAsync(served, {})],
  ]
  test.each(effects)('%s, then a statement that is refused', async (_, effect) => {
    const { error } = await failureOf(async inside => {
      await effect(inside)
      await refusedStatement(inside)
    })
    expect(error).toMatchObject(unknown('POOL_TIMEOUT'))
  })

  test('a plain write in a unit of its own, then a statement that is refused', async () => {
    const handler = async (inside: Inside) => {
      await inside.db.run(() => write(inside))
      await refusedStatement(inside)
    }
    // With levels such a unit is refused: it would wait at level 0 behind a slot of level 1.
    const { error } = await failureOf(handler, { isolation: 'none' })
    expect(error).toMatchObject(unknown('POOL_TIMEOUT'))
  })

  test('a write, then a call in a lane that nobody serves', async () => {
    const { error } = await failureOf(async inside => {
      await write(inside)
      await inside.queues.pushAsync(unserved, {})
    })
    expect(error).toMatchObject(unknown('LANE_UNSERVED'))
  })

  test('a write, then more calls at once than may wait', async () => {
    const { error } = await failureOf(async inside => {
      await write(inside)
      const calls = [1, 2].map(() => inside.queues.pushAsync(unserved, {}, { deadlineMs: 2000 }))
      await Promise.all(calls)
    })
    expect(error).toMatchObject(unknown('CALLS_LIMIT'))
  })

  test('a write, then a deeper call that came too late', async () => {
    const { error } = await failureOf(async inside => {
      await write(inside)
      throw queueError('CALL_EXPIRED', 'Came too late', { details: { job: 'inner' } })
    })
    expect(error).toMatchObject({ ...unknown('CALL_EXPIRED'), message: 'Came too late', details: { job: 'inner' } })
  })

  test('a call whose result is refused: its own work was done, and not the whole of the caller', async () => {
    let told: unknown
    const { error } = await failureOf(
      async ({ queues }) => {
        await queues.pushAsync(inner, {}).catch(thrown => {
          told = thrown
          throw thrown
        })
      },
      { refuse: false },
    )
    expect(told).toMatchObject({ code: 'RESULT_INVALID', outcome: 'applied' })
    expect(error).toMatchObject(unknown('RESULT_INVALID', 'applied'))
  })

  test('the refusal of a deeper handler, for which no attempt is spent all the same', async () => {
    const handler = async (inside: Inside) => {
      await write(inside)
      await inside.queues.pushAsync(inner, {})
    }
    const { error, runs } = await failureOf(handler, { attempts: 3 })
    expect(error).toMatchObject({ ...unknown('INSUFFICIENT_FUNDS'), message: 'Too little' })
    expect(runs).toBe(1)
  })
})

describe('an error stands as it is', () => {
  test('where the handler has done nothing', async () => {
    const { error } = await failureOf(refusedStatement)
    expect(hasCode(error, 'POOL_TIMEOUT') && error.outcome).toBe('not-applied')
    expect(error).not.toHaveProperty('cause.code')
  })

  test('where a deeper call that was not applied was all that the handler has done', async () => {
    const { error, runs } = await failureOf(({ queues }) => queues.pushAsync(inner, {}), { attempts: 3 })
    expect(error).toMatchObject({ code: 'INSUFFICIENT_FUNDS', outcome: 'not-applied' })
    expect(runs).toBe(1)
  })

  test('where its transaction, rolled back, was all that the handler has done', async () => {
    const { error } = await failureOf(inside =>
      inside.db.transaction.begin(async () => {
        await write(inside)
        throw queueError('CALLS_LIMIT', 'Too many')
      }),
    )
    expect(error).toMatchObject({ code: 'CALLS_LIMIT', outcome: 'not-applied' })
  })

  test('where the handler itself says what became of its work', async () => {
    const { error } = await failureOf(async inside => {
      await write(inside)
      await inside.data.add('a', -1)
      throw new StrataError('UNDONE', 'Was undone')
    })
    expect(error).toMatchObject({ code: 'UNDONE', outcome: 'not-applied' })
  })
})
