import { describe, expect, it } from 'vitest'
import { holdX } from '../test/held-document.ts'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'

function make() {
  const fake = new FakeDatasource()
  const db = createDbContext({ datasources: [fake], lockWaitMs: 500 })
  const read = (...keys: string[]) => db.run(() => Promise.all(keys.map(key => fake.read(key))))
  return { db, fake, read }
}

const code = (code: string) => expect.objectContaining({ code, outcome: 'not-applied' })
const own = { propagation: 'requires-new' } as const

/** Commits at this level begin and stay on the way until they are let go. */
function slowCommits({ fake }: ReturnType<typeof make>, level: number) {
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const pool = fake.pools[level]
  const begin = pool?.begin.bind(pool)
  if (pool && begin) {
    pool.begin = options => {
      const transaction = begin(options)
      const commit = transaction.commit.bind(transaction)
      transaction.commit = async () => {
        begun.resolve()
        await gate.promise
        await commit()
      }
      return transaction
    }
  }
  return { begun: begun.promise, go: gate.resolve }
}

describe('siblings in one transaction', () => {
  it('a failing one rolls back after those under way, and refuses those that have not begun', async () => {
    const { db, fake, read } = make()
    const gate = Promise.withResolvers<void>()
    const running = Promise.withResolvers<void>()
    const order: string[] = []
    const siblings: Promise<unknown>[] = []
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        db.transaction.afterRollback(() => order.push('rolled back'))
        await fake.add('x')
        siblings.push(
          fake.occupy(async () => {
            running.resolve()
            await gate.promise
            order.push('straggler')
          }),
          fake.add('y'),
        )
        await running.promise
        await Promise.all([...siblings, Promise.reject(new Error('mine'))])
      }),
    )
    await running.promise
    gate.resolve()
    await expect(begun).rejects.toThrow('mine')
    expect(order).toEqual(['straggler', 'rolled back'])
    expect(await Promise.allSettled(siblings)).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'TRANSACTION_ENDED' } },
    ])
    expect(await read('x', 'y')).toEqual([0, 0])
  })

  it('an inner transaction under way when the outer fails is rolled back, and the outer waits for it', async () => {
    const { db, fake, read } = make()
    let inner: Promise<unknown> | undefined
    const written = Promise.withResolvers<void>()
    let isInnerOver = false
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        const body = async () => {
          await fake.add('inner')
          written.resolve()
          await new Promise(() => {})
        }
        inner = db.transaction.begin(body, own).finally(() => {
          isInnerOver = true
        })
        inner.catch(() => {})
        await written.promise
        throw new Error('mine')
      }),
    )
    await expect(begun).rejects.toThrow('mine')
    await expect(inner).rejects.toEqual(code('TRANSACTION_ENDED'))
    expect(isInnerOver).toBe(true)
    expect(await read('inner')).toEqual([0])
    expect(db.pools().filter(({ inUse, waiting }) => inUse + waiting > 0)).toEqual([])
  })

  it('an inner transaction in mid-commit when the outer fails is an effect: the outer is not run again', async () => {
    const made = make()
    const { db, fake, read } = made
    const free = await holdX(made, 2)
    const commit = slowCommits(made, 1)
    let bodies = 0
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        db.current.transaction?.signal.addEventListener('abort', () => setTimeout(commit.go, 20))
        const inner = db.transaction.begin(() => fake.add('inner'), own)
        await commit.begun
        await Promise.all([inner, fake.add('x')])
      }),
    )
    await expect(begun).rejects.toMatchObject({ code: 'RETRY_UNSAFE', outcome: 'unknown' })
    await free()
    expect([bodies, await read('inner', 'x')]).toEqual([1, [1, 1]])
  })

  it('an inner transaction of a unit of its own that is under way is an effect, and none once it is rolled back', async () => {
    const made = make()
    const { db, fake, read } = made
    const free = await holdX(made, 2)
    const commit = slowCommits(made, 1)
    let bodies = 0
    let inner: Promise<void> | undefined
    const failed = () =>
      db.run(() => db.switchDbIsolate(() => db.transaction.begin(() => Promise.reject(new Error('no')))))
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        await failed().catch(() => {})
        if (bodies === 2) {
          inner = db.run(() => db.switchDbIsolate(() => db.transaction.begin(() => fake.add('inner'))))
          await commit.begun
        }
        await fake.add('x')
      }),
    )
    await expect(begun).rejects.toMatchObject({ code: 'RETRY_UNSAFE', outcome: 'unknown' })
    commit.go()
    await inner
    await free()
    expect([bodies, await read('inner', 'x')]).toEqual([2, [1, 1]])
  })

  it('a deadline that passes while an inner transaction commits does not deny that effect', async () => {
    const made = make()
    const { db, fake, read } = made
    const commit = slowCommits(made, 1)
    const begun = db.run(() =>
      db.transaction.begin(
        async () => {
          db.current.transaction?.signal.addEventListener('abort', () => setTimeout(commit.go, 20))
          await db.transaction.begin(() => fake.add('inner'), { ...own, name: 'audit' })
        },
        { deadlineMs: 50 },
      ),
    )
    const details = expect.objectContaining({ effects: ['transaction audit'] })
    await expect(begun).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT', outcome: 'unknown', details })
    expect(await read('inner')).toEqual([1])
  })

  it('a deadline that passes while an inner transaction is open takes it along: nothing is applied', async () => {
    const { db, fake, read } = make()
    const body = () => fake.add('inner').then(() => new Promise(() => {}))
    const begun = db.run(() => db.transaction.begin(() => db.transaction.begin(body, own), { deadlineMs: 50 }))
    await expect(begun).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT', outcome: 'not-applied' })
    expect(await read('inner')).toEqual([0])
  })

  it('a call at a deeper level is given up with the transaction around it', async () => {
    const { db } = make()
    let signal: AbortSignal | undefined
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        signal = await db.switchDbIsolate(async () => db.propagator.call('job').signal)
        expect(signal.aborted).toBe(false)
        throw new Error('mine')
      }),
    )
    await expect(begun).rejects.toThrow('mine')
    expect(signal?.aborted).toBe(true)
  })

  it('the hooks of an inner transaction that ends with the outer can still use its level', async () => {
    const { db, fake, read } = make()
    const hooked = Promise.withResolvers<void>()
    const begun = db.run(async () => {
      const outer = db.transaction.begin(async () => {
        const started = Promise.withResolvers<void>()
        const body = async () => {
          db.transaction.afterRollback(() => fake.add('note').then(hooked.resolve, hooked.reject))
          started.resolve()
          await new Promise(() => {})
        }
        db.transaction.begin(body, own).catch(() => {})
        await started.promise
        throw new Error('mine')
      })
      await outer.catch(() => {})
      await hooked.promise
    })
    await begun
    expect(await read('note')).toEqual([1])
  })
})

describe('what escapes the body of a transaction', () => {
  /** Starts `late` in the body, lets it go on after the end of the transaction and gives its error back. */
  async function runLate({ db, fake }: ReturnType<typeof make>, late: () => unknown): Promise<unknown> {
    const later = Promise.withResolvers<void>()
    return await db.run(async () => {
      let escaped: Promise<unknown> | undefined
      await db.transaction.begin(async () => {
        await fake.add('body')
        escaped = later.promise.then(late).catch((error: unknown) => error)
      })
      later.resolve()
      return await escaped
    })
  }

  const ended = [
    ['a statement', ({ fake }) => fake.add('late')],
    ['a statement at a deeper level', ({ db, fake }) => db.switchDbIsolate(() => fake.add('late'))],
    ['a transaction that joins', ({ db, fake }) => db.transaction.begin(() => fake.add('late'))],
    ['a transaction of its own', ({ db, fake }) => db.transaction.begin(() => fake.add('late'), own)],
    ['a transaction deeper', ({ db, fake }) => db.switchDbIsolate(() => db.transaction.begin(() => fake.add('late')))],
    [
      'a body without transaction',
      ({ db, fake }) => db.transaction.begin(() => fake.add('late'), { propagation: 'not-supported' }),
    ],
    ['a call', async ({ db }) => db.propagator.call('job').sent()],
    ['a push', async ({ db }) => db.propagator.push().defer?.({ job: 'mail', id: '1', publish: async () => {} })],
    ['a hook', async ({ db }) => db.transaction.afterCommit(() => {})],
    ['a mark', async ({ db }) => db.transaction.setRollbackOnly()],
  ] satisfies [string, (made: ReturnType<typeof make>) => Promise<unknown>][]

  it.each(ended)('is dead: %s', async (_, late) => {
    const made = make()
    expect(await runLate(made, () => late(made))).toEqual(code('TRANSACTION_ENDED'))
    expect(await made.read('body', 'late')).toEqual([1, 0])
  })

  it('is dead: a push that was decided on before the end', async () => {
    const { db } = make()
    const plan = await db.run(() => db.transaction.begin(async () => db.propagator.push()))
    expect(() => plan.defer?.({ job: 'mail', id: '1', publish: async () => {} })).toThrow(code('TRANSACTION_ENDED'))
  })

  it('is no transaction any more, and what was stored of it can do nothing', async () => {
    const made = make()
    const { db } = made
    expect(await runLate(made, async () => db.current.transaction)).toBeUndefined()
    const stored = await db.run(() => db.transaction.begin(async () => db.current.transaction, { name: 'stored' }))
    expect(stored).toEqual({
      id: expect.any(String),
      name: 'stored',
      datasource: 'fake',
      signal: expect.anything(),
      now: expect.any(Date),
    })
  })

  it('lives on in a unit of work of its own', async () => {
    const made = make()
    const { db, fake } = made
    expect(await runLate(made, () => db.run(() => fake.add('late')))).toBeUndefined()
    expect(await made.read('late')).toEqual([1])
  })

  it('an inner transaction that nobody awaited is rolled back', async () => {
    const { db, fake, read } = make()
    let inner: Promise<unknown> | undefined
    const written = Promise.withResolvers<void>()
    const body = async () => {
      await fake.add('inner')
      written.resolve()
      await new Promise(() => {})
    }
    await db.run(() =>
      db.transaction.begin(async () => {
        inner = db.transaction.begin(body, own)
        inner.catch(() => {})
        await written.promise
      }),
    )
    await expect(inner).rejects.toEqual(code('TRANSACTION_ENDED'))
    expect(await read('inner')).toEqual([0])
  })
})
