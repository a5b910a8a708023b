import type { Servers } from '@strata/testkit'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type BothSides, callersMax, openBothSides, operationTimeoutMs, transactionOptions } from './both-sides.ts'
import { microsecondsPerOperation } from './load.ts'

interface Row {
  readonly value: number
}

const goal = 1.05

/** What a transaction costs, against the raw driver's `withTransaction` with the same concerns and bounds. */
export const transaction: Benchmark = {
  name: 'transaction',
  what: "a transaction of two inserts, against the raw driver's withTransaction",
  open,
}

async function open({ mongoUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const sides = undo.use(await openBothSides(mongoUrl))
  // Before the first transaction: creating a collection inside one would make the others conflict.
  for (const name of names) await sides.raw.createCollection(name)
  const stack = undo.move()
  return {
    contests: [1, callersMax].map(callers => contest(sides, callers)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** A collection each, as a transaction's writes mostly have. */
const names = ['orders', 'entries'] as const

function contest({ db, datasource, client, raw }: BothSides, callers: number): Contest {
  const bound = names.map(name => datasource.collection<Row>(name))
  const ours = () =>
    db.transaction.begin(async () => {
      for (const collection of bound) await collection.insertOne({ value: 1 })
    })
  const plain = names.map(name => raw.collection<Row>(name))
  const reference = () =>
    client.withSession(session =>
      session.withTransaction(async () => {
        const options = { session, maxTimeMS: operationTimeoutMs }
        for (const collection of plain) await collection.insertOne({ value: 1 }, options)
      }, transactionOptions),
    )
  return {
    id: `transaction.c${callers}`,
    what: `two inserts in a transaction, confirmed by the majority, ${callers} at once`,
    unit: 'µs/transaction',
    better: 'lower',
    goal,
    // Several transactions of every caller: those that begin last would else be the whole slice.
    sliceMs: 50,
    ours: forMs => db.run(() => microsecondsPerOperation({ callers, operation: ours }, forMs)),
    reference: forMs => microsecondsPerOperation({ callers, operation: reference }, forMs),
  }
}
