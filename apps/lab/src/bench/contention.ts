import type { Servers } from '@strata/testkit'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type BothSides, callersMax, openBothSides, operationTimeoutMs, transactionOptions } from './both-sides.ts'
import { type Pace, paceOf } from './pace.ts'

interface Counter {
  readonly _id: string
  readonly value: number
}

const hot = 'hot'
/** Long enough for some hundred writes: the slowest hundredth of them is measured. */
const sliceMs = 1000

/** Many writers on one document, half of them in transactions, against the raw driver. */
export const contention: Benchmark = {
  name: 'contention',
  what: `${callersMax} writers on one document, every other one in transactions, against the raw driver`,
  open,
}

async function open({ mongoUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const sides = undo.use(await openBothSides(mongoUrl))
  const ids = [hot, ...Array.from({ length: callersMax }, (_, caller) => own(caller))]
  await sides.raw.collection<Counter>('counters').insertMany(ids.map(_id => ({ _id, value: 0 })))
  const stack = undo.move()
  return { contests: contests(sides), [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const own = (caller: number) => `own-${caller}`
const change = { $inc: { value: 1 } }

function contests(sides: BothSides): Contest[] {
  const ours = (forMs: number) =>
    sides.db.run(() =>
      paceOf(
        writers(caller => oursOf(sides, caller)),
        forMs,
      ),
    )
  const reference = (forMs: number) =>
    paceOf(
      writers(caller => referenceOf(sides, caller)),
      forMs,
    )
  const contest = (of: keyof Pace) => ({
    goal: 1,
    sliceMs,
    ours: async (forMs: number) => (await ours(forMs))[of],
    reference: async (forMs: number) => (await reference(forMs))[of],
  })
  return [
    {
      id: `contention.c${callersMax}.throughput`,
      what: 'plain writes and transactions that end, each with a write of the one document',
      unit: 'writes/s',
      better: 'higher',
      ...contest('perSecond'),
    },
    {
      id: `contention.c${callersMax}.p99`,
      what: 'how long one of a hundred of them takes at least, retries included',
      unit: 'ms',
      better: 'lower',
      ...contest('p99Ms'),
    },
  ]
}

const writers = (operationOf: (caller: number) => () => Promise<unknown>) =>
  Array.from({ length: callersMax }, (_, caller) => operationOf(caller))

const isInTransaction = (caller: number): boolean => caller % 2 === 1

function oursOf({ db, datasource }: BothSides, caller: number): () => Promise<unknown> {
  const counters = datasource.collection<Counter>('counters')
  if (!isInTransaction(caller)) return () => counters.updateOne({ _id: hot }, change)
  return () =>
    db.transaction.begin(async () => {
      await counters.updateOne({ _id: hot }, change)
      await counters.updateOne({ _id: own(caller) }, change)
    })
}

function referenceOf({ client, raw }: BothSides, caller: number): () => Promise<unknown> {
  const counters = raw.collection<Counter>('counters')
  const bounds = { maxTimeMS: operationTimeoutMs }
  if (!isInTransaction(caller)) return () => counters.updateOne({ _id: hot }, change, bounds)
  return () =>
    client.withSession(session =>
      session.withTransaction(async () => {
        await counters.updateOne({ _id: hot }, change, { session, ...bounds })
        await counters.updateOne({ _id: own(caller) }, change, { session, ...bounds })
      }, transactionOptions),
    )
}
