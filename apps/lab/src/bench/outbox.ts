import { randomUUID } from 'node:crypto'
import { createOutbox } from '@strata/consistency/outbox'
import { createQueues, createWorker, defineJob } from '@strata/queue'
import type { Servers } from '@strata/testkit'
import { type Db, Timestamp } from 'mongodb'
import { z } from 'zod'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type BothSides, openBothSides } from './both-sides.ts'
import { microsecondsPerOperation } from './load.ts'
import { median } from './median.ts'

const oldRows = 100_000
const backlogRows = 2000
const goalRowsPerSecond = 3000
const goalLatencyMs = 10

const stored = defineJob({ name: 'stored', input: z.object({ n: z.number() }), output: z.null() })
const followed = defineJob({ name: 'followed', input: z.object({ n: z.number() }), output: z.null() })

/** What the outbox adds to a transaction, how soon its jobs begin, and how fast a backlog is relayed. */
export const outbox: Benchmark = {
  name: 'outbox',
  what: 'the outbox: added to a transaction, from commit to handler, and a backlog beside 100,000 old rows, against what it must reach',
  open,
}

async function open({ mongoUrl, redisUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const sides = undo.use(await openBothSides(mongoUrl))
  const contests = [
    await relayed(sides, redisUrl, undo),
    await latency(sides, redisUrl, undo),
    await added(sides, redisUrl, undo),
  ]
  const stack = undo.move()
  return { contests, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** A row as a transaction leaves it; the server fills in the time. */
const rowOf = (n: number) => ({
  _id: randomUUID(),
  v: 1,
  id: `bench-${randomUUID()}`,
  job: stored.name,
  queue: stored.queue,
  level: 1,
  data: JSON.stringify({ n }),
  options: '{}',
  state: 'pending',
  open: true,
  at: new Timestamp({ t: 0, i: 0 }),
})

async function insertOld(raw: Db, collection: string): Promise<void> {
  const batch = 10_000
  for (let from = 0; from < oldRows; from += batch) {
    const rows = Array.from({ length: batch }, (_, index) => {
      const { open: _open, ...row } = rowOf(from + index)
      return { ...row, state: 'published', publishedAt: new Date() }
    })
    await raw.collection<{ _id: string }>(collection).insertMany(rows)
  }
}

async function relayed(
  { db, datasource, raw }: BothSides,
  redis: string,
  undo: AsyncDisposableStack,
): Promise<Contest> {
  const collection = 'bench.relayed'
  const box = undo.use(createOutbox({ db, datasource, collection }))
  undo.use(createQueues({ db, redis, prefix: `bench-${randomUUID()}`, outbox: box }))
  await box.ensureIndexes()
  await insertOld(raw, collection)
  return {
    id: 'outbox.relay',
    what: `rows of a backlog of ${backlogRows}, beside ${oldRows} old ones; the reference is what is to be reached`,
    unit: 'rows/s',
    better: 'higher',
    goal: 1,
    sliceMs: 1000,
    ours: async () => {
      await raw
        .collection<{ _id: string }>(collection)
        .insertMany(Array.from({ length: backlogRows }, (_, n) => rowOf(n)))
      const begun = performance.now()
      await box.flush({ deadlineMs: 60_000 })
      return backlogRows / ((performance.now() - begun) / 1000)
    },
    reference: () => Promise.resolve(goalRowsPerSecond),
  }
}

async function latency({ db, datasource }: BothSides, redis: string, undo: AsyncDisposableStack): Promise<Contest> {
  const box = undo.use(createOutbox({ db, datasource, collection: 'bench.latency' }))
  const prefix = `bench-${randomUUID()}`
  const queues = undo.use(createQueues({ db, redis, prefix, outbox: box }))
  await box.ensureIndexes()
  const worker = undo.use(createWorker({ db, redis, prefix }))
  let begun = Promise.withResolvers<number>()
  worker.handle(followed, async () => {
    begun.resolve(performance.now())
    return null
  })
  await worker.start()
  const once = async (n: number): Promise<number> => {
    begun = Promise.withResolvers()
    let committed = 0
    await db.run(() =>
      db.transaction.begin(async () => {
        db.transaction.afterCommit(() => {
          committed = performance.now()
        })
        await queues.push(followed, { n })
      }),
    )
    return (await begun.promise) - committed
  }
  return {
    id: 'outbox.latency',
    what: 'from the commit to the begin of the handler, p50 of one at a time; the reference is what is to be reached',
    unit: 'ms',
    better: 'lower',
    goal: 1,
    sliceMs: 500,
    ours: async forMs => {
      const end = performance.now() + forMs
      const seen: number[] = []
      do seen.push(await once(seen.length))
      while (performance.now() < end)
      return median(seen)
    },
    reference: () => Promise.resolve(goalLatencyMs),
  }
}

/** What publishes is left out on both sides: it is no part of the transaction. */
async function added({ db, datasource }: BothSides, redis: string, undo: AsyncDisposableStack): Promise<Contest> {
  const box = undo.use(createOutbox({ db, datasource, collection: 'bench.added' }))
  const plain = createOutbox({ db, datasource, collection: 'bench.plain' })
  await Promise.all([box.ensureIndexes(), plain.ensureIndexes()])
  const keeping = { append: box.append, connect: () => {} }
  const queues = undo.use(createQueues({ db, redis, prefix: `bench-${randomUUID()}`, outbox: keeping }))
  const rows = datasource.collection<ReturnType<typeof rowOf>>('bench.plain')
  const entries = datasource.collection<{ n: number }>('bench.entries')
  const measured = (follow: (n: number) => Promise<unknown>) => (forMs: number) => {
    const operation = () =>
      db.transaction.begin(async () => {
        await entries.insertOne({ n: 1 })
        await follow(1)
      })
    return db.run(() => microsecondsPerOperation({ callers: 1, operation }, forMs))
  }
  await db.run(() => entries.insertOne({ n: 0 }))
  return {
    id: 'outbox.transaction',
    what: 'a transaction of an insert and a push, against one of two inserts, the second of the same row',
    unit: 'µs/transaction',
    better: 'lower',
    goal: 1.1,
    sliceMs: 50,
    ours: measured(n => queues.push(stored, { n })),
    reference: measured(n => rows.insertOne(rowOf(n))),
  }
}
