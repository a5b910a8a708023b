import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { holdX } from '../test/held-document.ts'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'
import { dbContextError } from './registry.ts'

function make() {
  const fake = new FakeDatasource()
  const reported: unknown[] = []
  const db = createDbContext({ datasources: [fake], lockWaitMs: 200, report: error => reported.push(error) })
  return { db, fake, reported }
}

const code = (code: string) => expect.objectContaining({ code })

describe('a retried transaction', () => {
  it('runs its body again after a conflict, with the permit given back meanwhile', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    let bodies = 0
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        if (bodies === 3) await free()
        await fake.add('x')
      }),
    )
    await db.run(() => fake.add('y'))
    await begun
    expect(bodies).toBe(3)
    expect(await db.run(() => fake.read('x'))).toBe(2)
  })

  it('does not count as waiting for a document what it waits for its connection', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    let bodies = 0
    const inBody = Promise.withResolvers<void>()
    // Comes first for the one connection, and keeps it for longer than `lockWaitMs` with its patience.
    const occupied = inBody.promise.then(() => db.run(() => fake.occupy(() => sleep(300))))
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        inBody.resolve()
        if (bodies === 3) await free()
        await fake.add('x')
      }),
    )
    await begun
    await occupied
    expect(bodies).toBe(3)
  })

  it('is not run again once it has caused effects outside', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        db.propagator.call('student.update').sent()
        await fake.add('x')
      }),
    )
    await expect(begun).rejects.toEqual(expect.objectContaining({ code: 'RETRY_UNSAFE', outcome: 'unknown' }))
    await expect(begun).rejects.toThrow('call of student.update')
    await free()
  })

  it('counts an inner commit as an effect outside', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await db.switchDb(() => db.transaction.begin(() => fake.add('audit'), { name: 'audit' }), { level: 2 })
        await fake.add('x')
      }),
    )
    await expect(begun).rejects.toThrow('transaction audit')
    await free()
  })

  it('is not run again for another transient error of deeper work, which comes out as it is', async () => {
    const { db, fake } = make()
    const full = dbContextError('POOL_TIMEOUT', 'no connection')
    let bodies = 0
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        await fake.add('y')
        await db.switchDb(() => db.transaction.begin(() => Promise.reject(full)), { level: 2 })
      }),
    )
    await expect(begun).rejects.toBe(full)
    expect(bodies).toBe(1)
  })

  it('is given up after lockWaitMs, and at once with retries 0', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    await expect(db.run(() => db.transaction.begin(() => fake.add('x')))).rejects.toEqual(code('LOCK_TIMEOUT'))
    await expect(db.run(() => db.transaction.begin(() => fake.add('x'), { retries: 0 }))).rejects.toThrow(
      'Another transaction',
    )
    await free()
  })

  it('has one deadline for all its attempts', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    let bodies = 0
    const body = async () => {
      bodies += 1
      await fake.add('x')
    }
    const begun = db.run(() => db.transaction.begin(body, { deadlineMs: 100 }))
    await expect(begun).rejects.toEqual(
      expect.objectContaining({ code: 'TRANSACTION_TIMEOUT', outcome: 'not-applied' }),
    )
    expect(bodies).toBeGreaterThan(1)
    await free()
  })

  it('is not saved by a body that catches the conflict', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    const begun = db.run(() => db.transaction.begin(() => fake.add('x').catch(() => {}), { retries: 0 }))
    await expect(begun).rejects.toEqual(code('ROLLBACK_ONLY'))
    await free()
  })
})

describe('hooks', () => {
  it('run in order, outside the transaction, and a failing one is reported and stops nothing', async () => {
    const { db, reported } = make()
    const seen: unknown[] = []
    await db.run(() =>
      db.transaction.begin(async () => {
        db.transaction.afterCommit(() => seen.push(db.current.transaction))
        db.transaction.afterCommit(() => Promise.reject(new Error('hook')))
        db.transaction.afterCommit(() => seen.push('last'))
        db.transaction.afterRollback(() => seen.push('never'))
      }),
    )
    expect(seen).toEqual([undefined, 'last'])
    expect(reported).toEqual([new Error('hook')])
  })

  it('of a rolled back transaction are those for it', async () => {
    const { db } = make()
    const seen: string[] = []
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        db.transaction.afterCommit(() => seen.push('commit'))
        db.transaction.afterRollback(() => seen.push('rollback'))
        throw new Error('mine')
      }),
    )
    await expect(begun).rejects.toThrow('mine')
    expect(seen).toEqual(['rollback'])
  })

  it('for a rollback run once, after the last attempt', async () => {
    const made = make()
    const { db, fake } = made
    const free = await holdX(made)
    let bodies = 0
    let hooks = 0
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        db.transaction.afterRollback(() => {
          hooks += 1
        })
        await fake.add('x')
      }),
    )
    await expect(begun).rejects.toEqual(code('LOCK_TIMEOUT'))
    expect(bodies).toBeGreaterThan(1)
    expect(hooks).toBe(1)
    await free()
  })

  it('a push inside a transaction is deferred to its commit', async () => {
    const { db } = make()
    const seen: string[] = []
    await db.run(() =>
      db.transaction.begin(async () => {
        db.propagator.push().defer?.({ job: 'mail', id: '1', publish: async () => void seen.push('published') })
        seen.push('body')
      }),
    )
    expect(seen).toEqual(['body', 'published'])
    expect(db.propagator.push().defer).toBeUndefined()
  })

  it('need an open transaction', async () => {
    const { db } = make()
    await expect(db.run(async () => db.transaction.afterCommit(() => {}))).rejects.toEqual(code('TRANSACTION_MISSING'))
  })
})

describe('propagation', () => {
  it('joining a transaction whose body has settled is refused', async () => {
    const { db, fake } = make()
    const later = Promise.withResolvers<void>()
    let late: Promise<unknown> | undefined
    await db.run(async () => {
      await db.transaction.begin(async () => {
        late = later.promise.then(() => db.transaction.begin(async () => 'ran'))
        await fake.add('x')
      })
      later.resolve()
      await expect(late).rejects.toEqual(code('TRANSACTION_ENDED'))
    })
  })

  it('required joins the open transaction', async () => {
    const { db } = make()
    await db.run(() =>
      db.transaction.begin(async () => {
        const outer = db.current.transaction?.id
        expect(await db.transaction.begin(async () => db.current.transaction?.id)).toBe(outer)
      }),
    )
  })
})

describe('a unit of work that is given up', () => {
  it('takes its open transaction with it: rolled back, connection given back', async () => {
    const { db, fake } = make()
    const abort = new AbortController()
    const written = Promise.withResolvers<void>()
    const begun = db.run(
      () =>
        db.transaction.begin(async () => {
          await fake.add('x')
          written.resolve()
          await new Promise(() => {})
        }),
      { signal: abort.signal },
    )
    await written.promise
    abort.abort()
    await expect(begun).rejects.toEqual(code('ABORTED'))
    expect(await db.run(() => fake.read('x'))).toBe(0)
  })
})

describe('deadlines', () => {
  it('a call made inside has what the transaction has left', async () => {
    const { db } = make()
    const left = await db.run(() =>
      db.transaction.begin(async () => db.propagator.call('j').remainingMs, { deadlineMs: 1000 }),
    )
    expect(left).toBeLessThanOrEqual(1000)
    expect(left).toBeGreaterThan(500)
    expect(await db.run(async () => db.propagator.call('j').remainingMs)).toBe(Number.POSITIVE_INFINITY)
  })
})
