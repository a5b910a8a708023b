import { AsyncLocalStorage } from 'node:async_hooks'
import type { DbContext } from '@strata/db-context'
import type { BoundCollection } from '@strata/mongo'
import type { Servers } from '@strata/testkit'
import type { Collection } from 'mongodb'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { callersMax, openBothSides, operationTimeoutMs } from './both-sides.ts'
import { type Load, microsecondsPerOperation } from './load.ts'

interface Item {
  readonly _id: number
  readonly value: number
}

const items = 1000
const goal = 1.05
/** Of a single write's first send: the reference sends the same. */
const writeSliceMs = 200

/** What a database operation costs through the context, against the raw driver with the same client options and bounds. */
export const context: Benchmark = {
  name: 'context',
  what: 'one database operation through the context, against the raw driver; and what a unit of work costs',
  open,
}

async function open({ mongoUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const { db, datasource, raw: database } = undo.use(await openBothSides(mongoUrl))
  const raw = database.collection<Item>('items')
  await raw.insertMany(Array.from({ length: items }, (_, _id) => ({ _id, value: 0 })))
  const sides: Sides = { db, bound: datasource.collection<Item>('items'), raw }
  const stack = undo.move()
  return {
    contests: [...[1, callersMax].flatMap(callers => [read(sides, callers), write(sides, callers)]), enter(db)],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

interface Sides {
  readonly db: DbContext
  readonly bound: BoundCollection<Item>
  readonly raw: Collection<Item>
}

function read({ db, bound, raw }: Sides, callers: number): Contest {
  const next = walk()
  return {
    id: `context.read.c${callers}`,
    what: `findOne by _id in a unit of work, ${callers} at once`,
    ...timePerOperation,
    goal,
    ours: inUnit(db, { callers, operation: () => bound.findOne({ _id: next() }) }),
    reference: alone({ callers, operation: () => raw.findOne({ _id: next() }, { maxTimeMS: operationTimeoutMs }) }),
  }
}

function write({ db, bound, raw }: Sides, callers: number): Contest {
  const next = walk()
  const change = { $inc: { value: 1 } }
  const options = { maxTimeMS: writeSliceMs }
  return {
    id: `context.write.c${callers}`,
    what: `updateOne by _id, confirmed by the majority, in a unit of work, ${callers} at once`,
    ...timePerOperation,
    goal,
    ours: inUnit(db, { callers, operation: () => bound.updateOne({ _id: next() }, change) }),
    reference: alone({ callers, operation: () => raw.updateOne({ _id: next() }, change, options) }),
  }
}

/** Reported without a goal: a unit of work checks, names and bounds things that AsyncLocalStorage does not. */
function enter(db: DbContext): Contest {
  const storage = new AsyncLocalStorage<object>()
  const nothing = async (): Promise<void> => {}
  return {
    id: 'context.enter',
    what: 'an empty unit of work, against AsyncLocalStorage.run of an empty async function',
    ...timePerOperation,
    ours: alone({ callers: 1, batch, operation: () => db.run(nothing) }),
    reference: alone({ callers: 1, batch, operation: () => storage.run({}, nothing) }),
  }
}

const batch = 100
const timePerOperation = { unit: 'µs/operation', better: 'lower' } as const

const alone = (load: Load) => (forMs: number) => microsecondsPerOperation(load, forMs)

const inUnit = (db: DbContext, load: Load) => (forMs: number) => db.run(() => microsecondsPerOperation(load, forMs))

/** Visits all documents in turn, so that concurrent writers do not meet on one. */
function walk(): () => number {
  let last = 0
  return () => {
    last = (last + 1) % items
    return last
  }
}
