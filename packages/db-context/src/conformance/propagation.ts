import assert from 'node:assert/strict'
import { hasCode } from '../error.ts'
import {
  type InnerEnd,
  isConduct,
  type Propagation,
  type PropagationEnd,
  type PropagationRow,
  type PropagationStep,
  propagationEnd,
  propagations,
} from '../propagation.ts'
import { type Bench, casesOf, failure, level } from './bench.ts'

type Where = keyof PropagationRow

interface Cell {
  readonly propagation: Propagation
  readonly where: Where
  readonly end: InnerEnd
}

const boom = new Error('boom')

/** Runs one cell of the table: what was applied, what came out, and in which order the hooks ran. */
async function play({ db, add, read }: Bench, { propagation, where, end }: Cell) {
  const order: PropagationStep[] = []
  const key = (who: string) => `${who} ${where} ${end}`
  const hooks = (who: 'inner' | 'outer') => {
    db.transaction.afterCommit(async () => void order.push(`${who} commit`))
    db.transaction.afterRollback(async () => void order.push(`${who} rollback`))
  }
  const inner = async () => {
    hooks('inner')
    await add(key('inner'))
    if (end !== 'ok') throw boom
  }
  const around = async () => {
    const begun = db.transaction.begin(inner, { propagation })
    await (end === 'caught' ? begun.catch(() => {}) : begun)
    order.push('body')
  }
  const outer = () =>
    db.transaction.begin(async () => {
      hooks('outer')
      await add(key('outer'))
      await around()
    })
  const error = await db.run(where === 'inside' ? outer : around).catch((error: unknown) => error)
  const applied = await db.run(async () => [await read(key('inner')), await read(key('outer'))])
  return { error, order, inner: applied[0] === 1, outer: where === 'inside' ? applied[1] === 1 : undefined }
}

function checkError(error: unknown, expected: PropagationEnd['error']): void {
  if (expected === undefined) assert.equal(error, undefined)
  else if (expected === 'own') assert.equal(error, boom)
  else {
    assert.ok(hasCode(error, expected), `Expected ${expected}, got ${String(error)}`)
    assert.equal(error.outcome, 'not-applied')
    if (expected === 'ROLLBACK_ONLY') assert.equal(error.cause, boom)
  }
}

async function checkRow(bench: Bench, propagation: Propagation, where: Where): Promise<void> {
  for (const end of ['ok', 'fails', 'caught'] as const) {
    const expected = propagationEnd(propagation, where, end)
    const { error, ...got } = await play(bench, { propagation, where, end })
    checkError(error, expected.error)
    assert.deepEqual(got, { inner: expected.inner, outer: expected.outer, order: expected.order }, `inner ${end}`)
    for (const pool of bench.db.pools()) assert.equal(pool.inUse, 0, `A connection of level ${pool.level} is kept`)
  }
}

const rows = Object.keys(propagations).flatMap(name =>
  (['inside', 'outside'] as const).map(where => {
    const propagation = name as Propagation
    const run = (bench: Bench) => checkRow(bench, propagation, where)
    return [`propagation ${propagation} ${where} a transaction ends as the table says`, run] as const
  }),
)

/** Where statements of the inner body go, for the cells that have one. */
async function checkPlaces({ db }: Bench): Promise<void> {
  for (const [name, row] of Object.entries(propagations)) {
    const propagation = name as Propagation
    const inside = () =>
      db.transaction.begin(async () => [db.current.transaction?.id, await place(propagation)] as const)
    const place = (propagation: Propagation) =>
      db.transaction.begin(async () => ({ level: db.current.level, id: db.current.transaction?.id }), { propagation })
    if (!isConduct(row.inside)) continue
    const [outer, inner] = await db.run(inside)
    const isDeeper = row.inside.endsWith('deeper')
    assert.equal(inner.level, isDeeper ? 1 : 0)
    if (row.inside === 'joins') assert.equal(inner.id, outer)
    else assert.notEqual(inner.id, outer)
    assert.equal(inner.id === undefined, row.inside === 'plain deeper')
  }
}

const limits = (['requires-new', 'not-supported'] as const).map(propagation => {
  const run = async ({ db, add, read }: Bench): Promise<void> => {
    let ran = false
    const body = async () => {
      ran = true
    }
    const begun = db.run(() =>
      db.switchDb(
        () =>
          db.transaction.begin(async () => {
            await add('outer')
            const error = await failure(db.transaction.begin(body, { propagation }))
            assert.ok(hasCode(error, 'LEVEL_LIMIT') && error.outcome === 'not-applied')
          }),
        { level: 2 },
      ),
    )
    await begun
    assert.equal(ran, false)
    assert.equal(await db.run(() => read('outer')), 1)
    assert.equal(level(db, 2).inUse, 0)
  }
  return [`propagation ${propagation} at the level limit is refused before anything is done`, run] as const
})

const hooks = {
  'hooks of every kind find the connection given back, at the level of what has ended': async ({
    db,
    add,
    read,
  }: Bench) => {
    const seen: unknown[] = []
    const look = (what: string) => async () => {
      await add(what)
      seen.push([what, db.current.level, db.current.transaction, await read(what)])
    }
    await db.run(() =>
      db.transaction.begin(async () => {
        db.transaction.afterCommit(look('outer'))
        await db.transaction.begin(async () => db.transaction.afterCommit(look('new')), { propagation: 'requires-new' })
        await db.transaction.begin(async () => db.transaction.afterCommit(look('plain')), {
          propagation: 'not-supported',
        })
        const failing = db.transaction.begin(
          async () => {
            db.transaction.afterRollback(look('failed'))
            throw boom
          },
          { propagation: 'requires-new' },
        )
        await failure(failing)
      }),
    )
    assert.deepEqual(seen, [
      ['new', 1, undefined, 1],
      ['plain', 1, undefined, 1],
      ['failed', 1, undefined, 1],
      ['outer', 0, undefined, 1],
    ])
  },
}

/** Every cell of the table of propagation, and what the table cannot say. */
export const propagationCases = casesOf({
  ...Object.fromEntries(rows),
  ...Object.fromEntries(limits),
  ...hooks,
  'propagation puts each body where the table says': checkPlaces,
})
