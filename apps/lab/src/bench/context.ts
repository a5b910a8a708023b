import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { createDbContext, type DbContext } from '@strata/db-context'
import { type BoundCollection, mongoDatasource } from '@strata/mongo'
import type { Servers } from '@strata/testkit'
import { type Collection, MongoClient } from 'mongodb'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type Load, microsecondsPerOperation } from './load.ts'

interface Item {
  readonly _id: number
  readonly value: number
}

const items = 1000
const callersMax = 16
const goal = 1.05
const operationTimeoutMs = 30_000
const writeConcernTimeoutMs = 10_000
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
  const database = `strata_bench_${randomBytes(4).toString('hex')}`
  const client = undo.use(rawClient(mongoUrl))
  const raw = client.db(database).collection<Item>('items')
  await raw.insertMany(Array.from({ length: items }, (_, _id) => ({ _id, value: 0 })))
  undo.defer(async () => void (await client.db(database).dropDatabase()))
  const datasource = mongoDatasource({
    name: 'bench',
    url: mongoUrl,
    database,
    pool: { max: callersMax },
    operationTimeoutMs,
    writeConcernTimeoutMs,
  })
  const db = undo.use(createDbContext({ datasources: [datasource], levels: { max: 1 } }))
  await db.start()
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

/** The options that the context's own clients have; they share the server, not the pool. */
function rawClient(url: string): MongoClient {
  return new MongoClient(url, {
    maxPoolSize: callersMax,
    minPoolSize: 1,
    maxConnecting: 2,
    waitQueueTimeoutMS: operationTimeoutMs,
    socketTimeoutMS: operationTimeoutMs + 10_000,
    serverMonitoringMode: 'poll',
    retryWrites: true,
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', wtimeoutMS: writeConcernTimeoutMs },
  })
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
