import { describe, expect, it } from 'vitest'
import { holdX } from '../test/held-document.ts'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'
import { dbContextError } from './registry.ts'

function make() {
  const fake = new FakeDatasource()
  const db = createDbContext({ datasources: [fake], lockWaitMs: 500 })
  return { db, fake }
}

const rollbackOnly = (cause: unknown) =>
  expect.objectContaining({ code: 'ROLLBACK_ONLY', outcome: 'not-applied', cause })

describe('a part that fails and is caught', () => {
  it('makes the whole end with the first failure, whatever comes after it', async () => {
    const { db, fake } = make()
    const first = new Error('first')
    const part = (error: Error) => db.transaction.begin(() => Promise.reject(error)).catch(() => {})
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await part(first)
        await part(new Error('second'))
        await fake.add('y')
      }),
    )
    await expect(begun).rejects.toEqual(rollbackOnly(first))
    expect(await db.run(() => fake.read('y'))).toBe(0)
  })

  it('runs the whole again when it failed on a conflict', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    const ids = new Set<string | undefined>()
    const times = new Set<number | undefined>()
    let bodies = 0
    await db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        ids.add(db.current.transaction?.id)
        times.add(db.current.transaction?.now.getTime())
        if (bodies === 3) await free()
        await fake.add('y')
        await db.transaction.begin(() => fake.add('x')).catch(() => {})
      }),
    )
    expect([bodies, ids.size, times.size]).toEqual([3, 1, 1])
    expect(await db.run(async () => [await fake.read('x'), await fake.read('y')])).toEqual([2, 1])
  })

  it('is not run again for a conflict that came after a failure of its own', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    const mine = new Error('mine')
    let bodies = 0
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        await db.transaction.begin(() => Promise.reject(mine)).catch(() => {})
        await fake.add('x').catch(() => {})
      }),
    )
    await expect(begun).rejects.toEqual(rollbackOnly(mine))
    expect(bodies).toBe(1)
    await free()
  })
})

describe('is transient as the first failure is', () => {
  const part = (made: ReturnType<typeof make>, error: unknown) =>
    made.db.transaction.begin(() => Promise.reject(error)).catch(() => {})
  const full = dbContextError('POOL_TIMEOUT', 'no connection')

  it('a conflict where no retry is wanted', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    const begun = db.run(() =>
      db.transaction.begin(
        async () => {
          await fake.add('x').catch(() => {})
        },
        { retries: 0 },
      ),
    )
    await expect(begun).rejects.toMatchObject({ code: 'ROLLBACK_ONLY', outcome: 'not-applied', transient: true })
    await free()
  })

  it.each([
    ['what may succeed later', full, true],
    ['what never will', dbContextError('LEVEL_LIMIT', 'too deep'), false],
    ['an error of its own', new Error('mine'), false],
  ])('%s, which the body is not run again for', async (_, error, transient) => {
    const made = make()
    let bodies = 0
    const begun = made.db.run(() =>
      made.db.transaction.begin(async () => {
        bodies += 1
        await part(made, error)
        await part(made, full)
      }),
    )
    await expect(begun).rejects.toMatchObject({ code: 'ROLLBACK_ONLY', outcome: 'not-applied', transient })
    expect(bodies).toBe(1)
  })

  it('not where another part has committed: the whole would do that again', async () => {
    const made = make()
    const begun = made.db.run(() =>
      made.db.transaction.begin(async () => {
        await made.db.transaction.begin(() => made.fake.add('audit'), { propagation: 'requires-new' })
        await part(made, full)
      }),
    )
    await expect(begun).rejects.toMatchObject({ code: 'ROLLBACK_ONLY', outcome: 'unknown', transient: false })
  })
})

describe('setRollbackOnly', () => {
  it('ends a transaction whose body resolves, with the reason', async () => {
    const { db, fake } = make()
    const reason = new Error('dry run')
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await fake.add('x')
        await db.transaction.begin(async () => db.transaction.setRollbackOnly(reason))
      }),
    )
    await expect(begun).rejects.toEqual(rollbackOnly(reason))
    await expect(begun).rejects.toThrow('setRollbackOnly')
    expect(await db.run(() => fake.read('x'))).toBe(0)
  })

  it('needs a transaction', async () => {
    const { db } = make()
    const mark = async () => db.transaction.setRollbackOnly()
    const missing = expect.objectContaining({ code: 'TRANSACTION_MISSING' })
    await expect(db.run(mark)).rejects.toEqual(missing)
    await expect(db.run(() => db.transaction.begin(mark, { propagation: 'supports' }))).rejects.toEqual(missing)
    await expect(db.run(() => db.transaction.begin(() => db.switchDbIsolate(mark)))).rejects.toEqual(missing)
  })
})

describe('a body that throws what is not an error', () => {
  it.each([
    ['text', 'a value of type string'],
    [undefined, 'a value of type undefined'],
    [null, 'null'],
  ])('%s is rolled back and comes out typed', async (thrown, printed) => {
    const { db, fake } = make()
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await fake.add('x')
        throw thrown
      }),
    )
    await expect(begun).rejects.toMatchObject({ code: 'NOT_AN_ERROR', outcome: 'not-applied', details: { thrown } })
    await expect(begun).rejects.toThrow(printed)
    expect(await db.run(() => fake.read('x'))).toBe(0)
  })
})
