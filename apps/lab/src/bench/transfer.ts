import { randomUUID } from 'node:crypto'
import { createTwoPhaseCommit, defineParticipant, transferOf } from '@strata/consistency/two-phase-commit'
import type { Servers } from '@strata/testkit'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type BothSides, openBothSides, operationTimeoutMs, transactionOptions } from './both-sides.ts'
import { microsecondsPerOperation } from './load.ts'

interface Account {
  readonly _id: string
  readonly balance: number
}

const callersMax = 32
/** So that two transfers seldom meet, and mostly. */
const crowds = { low: 10_000, high: 8 } as const

/** The record inserted and changed twice, and each of two participants changed twice. */
const commandsMin = 7
/** One more a minute, to see the server's clock. */
const commandsGoal = 1.01

/** What a transfer in two phases costs, which spans what a transaction cannot. */
export const transfer: Benchmark = {
  name: 'transfer',
  what: "a transfer in two phases, against a transaction of the raw driver that moves and records the same; and the protocol's own minimum",
  open,
}

async function open({ mongoUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const sides = undo.use(await openBothSides(mongoUrl, { connections: callersMax, serviceMax: callersMax }))
  const { db, datasource, raw } = sides
  await raw.createCollection('transfers')
  const accounts = Array.from({ length: crowds.low }, (_, each) => ({ _id: `a${each}`, balance: 1_000_000_000 }))
  for (const name of ['accounts', 'plain']) await raw.collection<Account>(name).insertMany(accounts)
  const participant = defineParticipant({ name: 'accounts', datasource, collection: 'accounts' })
  const definition = transferOf({ accounts: participant, field: 'balance' })
  const commits = undo.use(createTwoPhaseCommit({ db, datasource, definitions: [definition] }))
  await commits.ensureIndexes()
  const ours: Move = async (from, to) => {
    const { state } = await commits.run(definition, { input: { from, to, amount: 1 } })
    if (state !== 'done') throw new Error(`Transfer ended ${state}`)
  }
  const reference = moveInTransaction(sides)
  const stack = undo.move()
  const contests = Object.entries(crowds).flatMap(([contention, count]) =>
    [1, callersMax].map(callers => contest(sides, { contention, count, callers, ours, reference })),
  )
  return { contests: [...contests, commands(sides, ours)], [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

type Move = (from: string, to: string) => Promise<void>

function moveInTransaction({ client, raw }: BothSides): Move {
  const [plain, transfers] = [raw.collection<Account>('plain'), raw.collection<{ _id: string }>('transfers')]
  return (from, to) =>
    client.withSession(session =>
      session.withTransaction(async () => {
        const options = { session, maxTimeMS: operationTimeoutMs }
        await plain.updateOne({ _id: from, balance: { $gte: 1 } }, { $inc: { balance: -1 } }, options)
        await plain.updateOne({ _id: to }, { $inc: { balance: 1 } }, options)
        await transfers.insertOne({ _id: randomUUID() }, options)
      }, transactionOptions),
    )
}

interface Sides {
  readonly contention: string
  /** How many accounts there are. */
  readonly count: number
  readonly callers: number
  readonly ours: Move
  readonly reference: Move
}

function contest({ db }: BothSides, { contention, count, callers, ours, reference }: Sides): Contest {
  const between = (move: Move) => () => {
    const from = Math.floor(Math.random() * count)
    const to = (from + 1 + Math.floor(Math.random() * (count - 1))) % count
    return move(`a${from}`, `a${to}`)
  }
  const perSecond = async (move: Move, forMs: number) =>
    1_000_000 / (await microsecondsPerOperation({ callers, operation: between(move) }, forMs))
  return {
    id: `transfer.${contention}.c${callers}`,
    what: `two accounts of ${count}, ${callers} at once`,
    unit: 'transfers/s',
    better: 'higher',
    // Several of every caller: those that begin last would else be the whole slice.
    sliceMs: 200,
    ours: forMs => db.run(() => perSecond(ours, forMs)),
    reference: forMs => perSecond(reference, forMs),
  }
}

/** What is sent for one transfer that nobody is in the way of. Its round trips are fewer: two pairs go side by side. */
function commands({ db, raw }: BothSides, ours: Move): Contest {
  const writes = async () => {
    const { metrics } = await raw.admin().serverStatus()
    const { insert, update, findAndModify } = metrics.commands
    return Number(insert.total) + Number(update.total) + Number(findAndModify.total)
  }
  return {
    id: 'transfer.commands',
    what: 'commands for one transfer, against the minimum of the protocol',
    unit: 'commands/transfer',
    better: 'lower',
    goal: commandsGoal,
    ours: async forMs => {
      const before = await writes()
      let transfers = 0
      const operation = async () => {
        await ours('a1', 'a2')
        transfers += 1
      }
      await db.run(() => microsecondsPerOperation({ callers: 1, operation }, forMs))
      return ((await writes()) - before) / transfers
    },
    reference: async () => commandsMin,
  }
}
