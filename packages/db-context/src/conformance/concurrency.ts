import assert from 'node:assert/strict'
import { hasCode } from '../error.ts'
import { type Bench, casesOf, failure, level } from './bench.ts'

const mine = new Error('mine')

/** What several things at once in one transaction, and things that leave it, come to. */
export const concurrencyCases = casesOf({
  'a failing sibling rolls back, after the statements under way': async ({ db, add, read }: Bench) => {
    const siblings: Promise<unknown>[] = []
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        siblings.push(add('a'), add('b'), add('c'))
        await Promise.all([...siblings, Promise.reject(mine)])
      }),
    )
    assert.equal(await failure(begun), mine)
    // Those under way have ended by now, those that had not begun are refused: nothing is left to come.
    for (const end of await Promise.allSettled(siblings)) {
      if (end.status === 'rejected') assert.ok(hasCode(end.reason, 'TRANSACTION_ENDED'))
    }
    assert.deepEqual(await db.run(async () => [await read('a'), await read('b'), await read('c')]), [0, 0, 0])
  },

  'an inner transaction that nobody awaits ends with the outer one': async ({ db, add, read }: Bench) => {
    let inner: Promise<unknown> | undefined
    const written = Promise.withResolvers<void>()
    const body = async () => {
      await add('inner')
      written.resolve()
      await new Promise(() => {})
    }
    await db.run(() =>
      db.transaction.begin(async () => {
        inner = db.transaction.begin(body, { propagation: 'requires-new' })
        inner.catch(() => {})
        await written.promise
        await add('outer')
      }),
    )
    const error = await failure(inner)
    assert.ok(hasCode(error, 'TRANSACTION_ENDED') && error.outcome === 'not-applied')
    assert.deepEqual(await db.run(async () => [await read('inner'), await read('outer')]), [0, 1])
    assert.equal(level(db, 1).inUse, 0)
  },

  'work that escapes a transaction is refused at deeper levels too': async ({ db, add, read }: Bench) => {
    const later = Promise.withResolvers<void>()
    let late: Promise<unknown> | undefined
    await db.run(async () => {
      await db.transaction.begin(async () => {
        late = later.promise.then(() => db.switchDbIsolate(() => add('late')))
        await add('a')
      })
      later.resolve()
      assert.ok(hasCode(await failure(late), 'TRANSACTION_ENDED'))
    })
    assert.equal(await db.run(() => read('late')), 0)
  },

  'a part that fails on a conflict and is caught makes the whole run again, as the same transaction': async ({
    db,
    add,
    read,
  }: Bench) => {
    const held = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const holding = async () => {
      await add('x')
      held.resolve()
      await gate.promise
    }
    const stranger = db.run(() => db.switchDbIsolate(() => db.transaction.begin(holding)))
    await held.promise
    const seen = new Set<string>()
    let bodies = 0
    await db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        const { id, now } = db.current.transaction ?? {}
        seen.add(`${id} ${now?.getTime()}`)
        if (bodies === 2) {
          gate.resolve()
          await stranger
        }
        await add('y')
        await db.transaction.begin(() => add('x')).catch(() => {})
      }),
    )
    assert.deepEqual([bodies, seen.size], [2, 1])
    assert.deepEqual(await db.run(async () => [await read('x'), await read('y')]), [2, 1])
  },

  'a body that throws what is not an error is rolled back and ends typed': async ({ db, add, read }: Bench) => {
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await add('a')
        throw 'text'
      }),
    )
    const error = await failure(begun)
    assert.ok(hasCode(error, 'NOT_AN_ERROR') && error.outcome === 'not-applied' && error.cause === 'text')
    assert.equal(await db.run(() => read('a')), 0)
  },
})
