import assert from 'node:assert/strict'
import { hasCode } from '../error.ts'
import { type Bench, casesOf, type DatasourceCase, failure, level, waitFor } from './bench.ts'
import { concurrencyCases } from './concurrency.ts'
import { propagationCases } from './propagation.ts'

const cases: Record<string, (bench: Bench) => Promise<void>> = {
  'a statement outside a transaction is applied at once': async ({ db, add, read }) => {
    await db.run(() => add('a'))
    assert.equal(await db.run(() => read('a')), 1)
  },

  'a transaction reads its own writes, which others see after its commit': async ({ db, add, read }) => {
    await db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        assert.equal(await read('a'), 1)
        assert.equal(await db.switchDbIsolate(() => read('a')), 0)
      }),
    )
    assert.equal(await db.run(() => read('a')), 1)
  },

  'a body that throws leaves nothing, and its own error comes out': async ({ db, add, read }) => {
    const mine = new Error('mine')
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        throw mine
      }),
    )
    assert.equal(await failure(begun), mine)
    assert.equal(await db.run(() => read('a')), 0)
  },

  'statements of one transaction run one at a time under Promise.all': async ({ db, add, read }) => {
    await db.run(() => db.transaction.begin(() => Promise.all(Array.from({ length: 10 }, () => add('a')))))
    assert.equal(await db.run(() => read('a')), 10)
  },

  'a statement after the end of its transaction is refused': async ({ db, add, read }) => {
    const later = Promise.withResolvers<void>()
    let late: Promise<unknown> | undefined
    await db.run(async () => {
      await db.transaction.begin(async () => {
        late = later.promise.then(() => add('late'))
        await add('a')
      })
      later.resolve()
      assert.ok(hasCode(await failure(late), 'TRANSACTION_ENDED'))
    })
    assert.equal(await db.run(() => read('late')), 0)
  },

  'a transaction keeps its connection to itself, and gives it back': async ({ db, add }) => {
    const began = Promise.withResolvers<void>()
    const open = Promise.withResolvers<void>()
    const first = db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        began.resolve()
        await open.promise
      }),
    )
    await began.promise
    const second = db.run(() => add('b'))
    await waitFor(() => level(db, 0).waiting === 1)
    assert.equal(level(db, 0).inUse, 1)
    open.resolve()
    await Promise.all([first, second])
    assert.deepEqual([level(db, 0).inUse, level(db, 0).waiting], [0, 0])
  },

  'a deeper level has connections of its own while a transaction is open': async ({ db, add, read }) => {
    await db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        await db.switchDbIsolate(() => db.transaction.begin(() => add('b')))
      }),
    )
    assert.deepEqual(await db.run(async () => [await read('a'), await read('b')]), [1, 1])
  },

  'transactions that meet on a document all commit in the end': async ({ db, add, read }) => {
    const one = () => db.run(() => db.transaction.begin(() => add('a')))
    const deeper = () => db.run(() => db.switchDbIsolate(() => db.transaction.begin(() => add('a'))))
    await Promise.all(Array.from({ length: 10 }, (_, index) => (index % 2 ? one() : deeper())))
    assert.equal(await db.run(() => read('a')), 10)
  },

  'a document held by the own ancestor ends in ANCESTOR_LOCK, or in LOCK_TIMEOUT without a word of what is written':
    async ({ db, add, read }) => {
      const begun = db.run(() =>
        db.transaction.begin(
          async () => {
            await add('a')
            await db.switchDbIsolate(() => db.transaction.begin(() => add('a')))
          },
          // Where nobody can say that it is its own ancestor's, it would be run again.
          { retries: 0 },
        ),
      )
      const error = await failure(begun)
      assert.ok(hasCode(error, 'ANCESTOR_LOCK') || hasCode(error, 'LOCK_TIMEOUT'))
      assert.equal(await db.run(() => read('a')), 0)
    },

  'a caught failure of a part makes the whole roll back': async ({ db, add, read }) => {
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        await db.transaction.begin(() => Promise.reject(new Error('part'))).catch(() => {})
      }),
    )
    assert.ok(hasCode(await failure(begun), 'ROLLBACK_ONLY'))
    assert.equal(await db.run(() => read('a')), 0)
  },

  'hooks run after the connection is given back': async ({ db, add, read }) => {
    const seen: number[] = []
    await db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        db.transaction.afterCommit(async () => void seen.push(await read('a')))
      }),
    )
    assert.deepEqual(seen, [1])
  },

  'what a body leaves for the end runs last in its transaction, and is committed with it': async ({
    db,
    add,
    read,
  }) => {
    const order: string[] = []
    await db.run(() =>
      db.transaction.begin(async () => {
        await db.transaction.begin(async () =>
          db.transaction.beforeCommit(async () => {
            order.push('last')
            await add('a')
            assert.equal(await db.switchDbIsolate(() => read('a')), 0)
          }),
        )
        db.transaction.beforeCommit(() => order.push('more'))
        order.push('body')
      }),
    )
    assert.deepEqual(order, ['body', 'last', 'more'])
    assert.equal(await db.run(() => read('a')), 1)
  },

  'a failure of what a body leaves for the end rolls back, and comes out': async ({ db, add, read }) => {
    const mine = new Error('mine')
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        db.transaction.beforeCommit(() => Promise.reject(mine))
        db.transaction.beforeCommit(() => add('b'))
      }),
    )
    assert.equal(await failure(begun), mine)
    assert.deepEqual(await db.run(async () => [await read('a'), await read('b')]), [0, 0])
  },

  'a transaction past its deadline is rolled back and its connection comes back': async ({ db, add, read }) => {
    const begun = db.run(() =>
      db.transaction.begin(
        async () => {
          await add('a')
          await new Promise(() => {})
        },
        { deadlineMs: 50 },
      ),
    )
    assert.ok(hasCode(await failure(begun), 'TRANSACTION_TIMEOUT'))
    assert.equal(await db.run(() => read('a')), 0)
    assert.equal(level(db, 0).inUse, 0)
  },
}

/**
 * What every adapter of a datasource has to satisfy, run on the fake and on the real one alike. Bring any test runner: each
 * case is a name and a function that rejects when it does not hold.
 */
export const datasourceConformance: readonly DatasourceCase[] = [
  ...casesOf(cases),
  ...concurrencyCases,
  ...propagationCases,
]
