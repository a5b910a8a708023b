import type { Seed } from '@strata/testkit'
import type { Document } from 'mongodb'
import type { TransactionFault } from '../fault.ts'
import type { Round } from '../round.ts'

/** Which commands the server fails by itself, before it does them unless it says otherwise, and how. */
interface Failing {
  readonly commands: readonly string[]
  /** What each of them fails with, drawn anew for each burst. */
  readonly draw: (seed: Seed) => Document
  /** How many fail in a row at most; default 4. */
  readonly timesMax?: number
}

const bursts = 4

/** Bursts of failures, spread over the round. */
async function strike(round: Round, { commands, draw, timesMax = 4 }: Failing): Promise<void> {
  const { seed, rig, stories } = round
  const step = Math.floor(stories.length / bursts)
  let end: (() => Promise<number>) | undefined
  for (let burst = 0; burst < bursts; burst += 1) {
    await round.untilBodies(burst * step + seed.integer(0, step - 1))
    if (end) round.struck(await end())
    const data = { failCommands: commands, appName: round.name, ...draw(seed) }
    end = await rig.failCommands(seed.integer(1, timesMax), data)
  }
  round.onEnd(async () => round.struck((await end?.()) ?? 0))
}

function failing(name: string, about: string, failing: Failing & Pick<TransactionFault, 'load' | 'explains'>) {
  const { load = {}, explains = {} } = failing
  return { name, about, members: 1, load, explains, strike: round => strike(round, failing) } satisfies TransactionFault
}

const error = (errorCode: number, more: Document = {}) => ({ errorCode, ...more })
const oneOf =
  (first: number, ...others: number[]) =>
  (seed: Seed) =>
    error(seed.pick([first, ...others]))

/** Shutdown, interruption and step-down, as an election brings them. */
const electionCodes = [91, 11_600, 11_602, 189, 10_107] as const
const unlabelled = (seed: Seed) => error(seed.pick(electionCodes), { errorLabels: [] })
const closed = () => ({ closeConnection: true })

const [commit, abort, statements] = [['commitTransaction'], ['abortTransaction'], ['update', 'insert']] as const

/** Four failures in a row that all meet the same transaction are more than its three retries. */
const exhausted = { any: ['RETRIES_EXHAUSTED'] }
const refusals = [13, 26, 72] as const
const refused = { any: refusals.map(code => `MongoServerError ${code}`) }
const aborting = { refused: 60 }

export const failPointFaults: readonly TransactionFault[] = [
  failing('commit-conflict', 'A commit is refused as a transient error (112, 251), before it is done', {
    commands: commit,
    draw: oneOf(112, 251),
    explains: exhausted,
  }),
  failing(
    'commit-in-election',
    'A commit meets a server that shuts down or steps down (91, 189, 10107, 11600, 11602)',
    {
      commands: commit,
      draw: oneOf(...electionCodes),
      explains: exhausted,
    },
  ),
  failing('commit-in-election-bare', 'The same, and the server names no label', {
    commands: commit,
    draw: unlabelled,
    explains: exhausted,
  }),
  failing('commit-out-of-time', 'A commit runs out of its time at the server (50)', {
    commands: commit,
    draw: oneOf(50),
  }),
  failing('commit-refused', 'A commit is refused for good (13, 26, 72), before it is done', {
    commands: commit,
    draw: oneOf(...refusals),
    explains: refused,
  }),
  failing('commit-connection-closed', 'The server closes the connection instead of doing a commit', {
    commands: commit,
    draw: closed,
  }),
  failing('commit-never-answered', 'The server closes the connection of every commit, for longer than a deadline', {
    commands: commit,
    draw: closed,
    timesMax: 60,
    load: { transactions: 12, hurried: 60 },
    explains: { any: ['LOCK_TIMEOUT'], hurried: ['COMMIT_UNKNOWN', 'TRANSACTION_TIMEOUT'] },
  }),
  failing('commit-unconfirmed', 'A commit is done, and the server cannot confirm a majority (64, 91, 100)', {
    commands: commit,
    draw: seed => ({ writeConcernError: { code: seed.pick([64, 91, 100]), errmsg: 'not confirmed' } }),
  }),
  failing('statement-conflict', 'A statement in the body is refused as a transient error (112, 251, 11602)', {
    commands: statements,
    draw: oneOf(112, 251, 11_602),
    explains: exhausted,
  }),
  failing('statement-refused', 'A statement in the body is refused for good (13, 26, 72)', {
    commands: statements,
    draw: oneOf(...refusals),
    explains: refused,
  }),
  failing('statement-connection-closed', 'The server closes the connection instead of doing a statement', {
    commands: statements,
    draw: closed,
    explains: exhausted,
  }),
  failing('abort-in-election', 'An abort meets a server that shuts down or steps down, once', {
    commands: abort,
    draw: oneOf(...electionCodes),
    timesMax: 1,
    load: aborting,
  }),
  failing('abort-connection-closed', 'The server closes the connection instead of doing an abort', {
    commands: abort,
    draw: closed,
    load: aborting,
  }),
]
