import { randomUUID } from 'node:crypto'
import { createInbox } from '@strata/consistency/inbox'
import { createQueues, createWorker, defineJob, type Queues } from '@strata/queue'
import type { Servers } from '@strata/testkit'
import { z } from 'zod'
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

const input = z.object({ id: z.string() })
const output = z.object({ levels: z.array(z.number()) })
const once = defineJob({ name: 'charge.once', input, output })
const plain = defineJob({ name: 'charge.plain', input, output })
const addCourse = defineJob({ name: 'course.add', input, output })

/** What an inbox adds to a handler that writes in a transaction. */
export const inbox: Benchmark = {
  name: 'inbox',
  what: 'a handler with an inbox, against the same handler in a plain transaction; and the two transactions by themselves',
  open,
}

async function open({ mongoUrl, redisUrl: redis }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const sides = undo.use(await openBothSides(mongoUrl, { levelsMax: 2 }))
  const { db, datasource, raw } = sides
  const balances = Array.from({ length: accounts }, (_, _id) => ({ _id, balance: 1000 }))
  await raw.collection<Account>('accounts').insertMany(balances)
  for (const name of ['charges', 'courses']) await raw.createCollection(name)
  const messages = createInbox({ db, datasource })
  await messages.ensureIndexes()

  const prefix = `bench-${randomUUID()}`
  const queues = undo.use(createQueues({ db, redis, prefix }))
  const worker = undo.use(createWorker({ db, redis, prefix, lanes: { slots: callersMax } }))
  const charge = chargeIn(sides)
  const courses = datasource.collection<{ _id: string }>('courses')
  const handle = async ({ id }: { id: string }) => {
    await charge(id)
    const { levels } = await queues.pushAsync(addCourse, { id })
    return { levels: [db.current.level, ...levels] }
  }
  worker.handle(once, messages.once(handle))
  worker.handle(plain, data => db.transaction.begin(() => handle(data)))
  worker.handle(addCourse, async ({ id }) => {
    await courses.insertOne({ _id: id })
    return { levels: [db.current.level] }
  })
  await worker.start()

  const alone = {
    ours: (id: string) => messages.handle({ scope: 'alone', key: id }, () => charge(id)),
    reference: (id: string) => db.transaction.begin(() => charge(id)),
  }
  const stack = undo.move()
  return {
    contests: [1, callersMax].flatMap(callers => [
      contest(sides, { callers, ...called(queues), ...aboutCalls, goal }),
      contest(sides, { callers, ...alone, ...aboutTransactions }),
    ]),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** The school's: looks whether it was made, takes it from the account, writes it down. */
function chargeIn({ datasource }: BothSides): (id: string) => Promise<{ id: string }> {
  const [charges, balances] = [datasource.collection<Charge>('charges'), datasource.collection<Account>('accounts')]
  let last = 0
  return async id => {
    last = (last + 1) % accounts
    const account = last
    await charges.findOne({ _id: id })
    await balances.updateOne({ _id: account }, { $inc: { balance: -1 } })
    await charges.insertOne({ _id: id, account })
    return { id }
  }
}

const called = (queues: Queues) => ({
  ours: (id: string) => queues.pushAsync(once, { id }),
  reference: (id: string) => queues.pushAsync(plain, { id }),
})

const aboutCalls = {
  name: 'handler',
  about: 'a call whose handler charges an account (a read, an update, an insert) and awaits a job',
}

/** Reported without a goal: two statements more than the four of a small transaction are two statements more. */
const aboutTransactions = { name: 'transaction', about: 'the charge alone (a read, an update, an insert)' }

interface Sides {
  readonly name: string
  readonly about: string
  readonly callers: number
  readonly goal?: number
  readonly ours: (id: string) => Promise<unknown>
  readonly reference: (id: string) => Promise<unknown>
}

function contest({ db }: BothSides, { name, about, callers, goal: reach, ours, reference }: Sides): Contest {
  const measured = (operation: (id: string) => Promise<unknown>) => (forMs: number) =>
    db.run(() => microsecondsPerOperation({ callers, operation: () => operation(randomUUID()) }, forMs))
  return {
    id: `inbox.${name}.c${callers}`,
    what: `${about}, ${callers} at once`,
    unit: 'µs/message',
    better: 'lower',
    ...(reach === undefined ? {} : { goal: reach }),
    // Several of every caller: those that begin last would else be the whole slice.
    sliceMs: 100,
    ours: measured(ours),
    reference: measured(reference),
  }
}
