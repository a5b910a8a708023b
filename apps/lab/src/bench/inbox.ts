import { randomUUID } from 'node:crypto'
import { createInbox, type Inbox } from '@strata/consistency/inbox'
import type { Servers } from '@strata/testkit'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type BothSides, callersMax, openBothSides } from './both-sides.ts'
import { microsecondsPerOperation } from './load.ts'

interface Account {
  readonly _id: number
  readonly balance: number
}

interface Charge {
  readonly _id: string
  readonly account: number
}

const goal = 1.2
const accounts = 10_000

/** What an inbox adds to a handler that writes in a transaction. */
export const inbox: Benchmark = {
  name: 'inbox',
  what: 'a handler with an inbox, against the same handler in a plain transaction',
  open,
}

async function open({ mongoUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const sides = undo.use(await openBothSides(mongoUrl))
  const { db, datasource, raw } = sides
  await raw
    .collection<Account>('accounts')
    .insertMany(Array.from({ length: accounts }, (_, _id) => ({ _id, balance: 1000 })))
  await raw.createCollection('charges')
  const messages = createInbox({ db, datasource })
  await messages.ensureIndexes()
  const stack = undo.move()
  return {
    contests: [1, callersMax].map(callers => contest(sides, messages, callers)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** A charge as the school makes it: looks whether it was made, takes it from the account, writes it down. */
function contest({ db, datasource }: BothSides, messages: Inbox, callers: number): Contest {
  const [charges, balances] = [datasource.collection<Charge>('charges'), datasource.collection<Account>('accounts')]
  let last = 0
  const charge = async (id: string) => {
    last = (last + 1) % accounts
    const account = last
    await charges.findOne({ _id: id })
    await balances.updateOne({ _id: account }, { $inc: { balance: -1 } })
    await charges.insertOne({ _id: id, account })
    return { id, levels: [1] }
  }
  const ours = () => {
    const key = randomUUID()
    return messages.handle({ scope: 'charge', key }, () => charge(key))
  }
  const reference = () => db.transaction.begin(() => charge(randomUUID()))
  return {
    id: `inbox.c${callers}`,
    what: `a charge (a read, an update, an insert), ${callers} at once`,
    unit: 'µs/message',
    better: 'lower',
    goal,
    // Several transactions of every caller: those that begin last would else be the whole slice.
    sliceMs: 50,
    ours: forMs => db.run(() => microsecondsPerOperation({ callers, operation: ours }, forMs)),
    reference: forMs => db.run(() => microsecondsPerOperation({ callers, operation: reference }, forMs)),
  }
}
