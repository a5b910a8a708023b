import { type Activity, deadlineIn } from '@strata/db-context'
import { ClientSession, Db, MongoClient } from 'mongodb'
import { afterEach, beforeEach, expect, it, type MockInstance, onTestFinished, vi } from 'vitest'
import { MongoTransaction, type TransactionPool } from './transaction.ts'

let killed: MockInstance<Db['command']>
beforeEach(() => {
  killed = vi.spyOn(Db.prototype, 'command').mockResolvedValue({})
})
afterEach(() => killed.mockRestore())

const activity: Activity = {
  phase: 'holding',
  root: 'root',
  unit: 'unit',
  level: 0,
  datasource: 'main',
  what: 'transaction',
  since: 0,
}

/** What a commit may come back with; the names, codes and labels are those of the driver. */
const network = { name: 'MongoNetworkError', errorLabels: ['UnknownTransactionCommitResult', 'RetryableWriteError'] }
const gone = { name: 'MongoServerError', code: 251 }
const unsatisfiable = { name: 'MongoWriteConcernError', code: 100 }
const refused = { name: 'MongoServerError', code: 13 }
const conflict = { name: 'MongoServerError', code: 112, errorLabels: ['TransientTransactionError'] }
const queueFull = { name: 'MongoWaitQueueTimeoutError' }

interface Commit {
  readonly client?: MongoClient
  readonly deadlineMs?: number
  /** What the tries of the commit come back with; the last also for all that follow. */
  readonly errors: readonly object[]
  /** True where each of them is of the second try that the driver makes by itself. */
  readonly isSecondTry?: boolean
}

/** A transaction of a client that never connects, whose commit fails as given. */
function failing({
  client = new MongoClient('mongodb://127.0.0.1'),
  errors,
  deadlineMs = 120,
  isSecondTry = false,
}: Commit) {
  const pool: TransactionPool = {
    client,
    writeConcernTimeoutMs: 1000,
    send: (_, send) => send(),
  }
  const transaction = new MongoTransaction(pool, { id: 'tx', deadline: deadlineIn(deadlineMs), activity })
  let tries = 0
  transaction.session.commitTransaction = async () => {
    tries += 1
    // As the driver does between its two tries.
    if (isSecondTry) (transaction.session as unknown as { unpin(options: object): void }).unpin({ force: true })
    throw errors[Math.min(tries, errors.length) - 1]
  }
  return { transaction, tries: () => tries }
}

const failure = (transaction: MongoTransaction): Promise<unknown> => transaction.commit().catch(error => error)

it.each([
  ['the network, and then a server that no longer has the transaction', [network, gone]],
  ['the network, and then any refusal', [network, refused]],
  ["a server that no longer has the transaction, to the driver's own second try", [gone]],
  ['a majority that cannot be had', [unsatisfiable]],
])('says of a commit that met %s that it is not known', async (_, errors) => {
  const { transaction } = failing({ errors })
  expect(await failure(transaction)).toMatchObject({ code: 'COMMIT_UNKNOWN', outcome: 'unknown' })
})

it.each([
  ['no server to be found', [{ name: 'MongoServerSelectionError' }]],
  ['no connection to be had', [queueFull]],
  ['a refusal', [refused]],
])("says the same where the driver's own second try met %s", async (_, errors) => {
  const { transaction } = failing({ errors, isSecondTry: true })
  expect(await failure(transaction)).toMatchObject({ code: 'COMMIT_UNKNOWN', outcome: 'unknown' })
})

it('says of a commit that was never sent that it was not applied', async () => {
  const killed = vi.spyOn(Db.prototype, 'command').mockResolvedValue({})
  onTestFinished(() => killed.mockRestore())
  const { transaction } = failing({ errors: [{ name: 'MongoServerSelectionError' }] })
  expect(await failure(transaction)).toMatchObject({ code: 'SERVER_UNREACHABLE', outcome: 'not-applied' })
})

it.each([
  ['a refusal', [refused], 1],
  ['a conflict', [conflict], 1],
  ['the network, and then what the server calls transient', [network, conflict], 2],
])('passes on %s, with nothing committed', async (_, errors, expected) => {
  const { transaction, tries } = failing({ errors })
  expect(await failure(transaction)).toBe(errors[expected - 1])
  expect(tries()).toBe(expected)
})

it.each([
  ['was never sent', queueFull, { code: 'POOL_TIMEOUT', outcome: 'not-applied' }],
  ['is in doubt', network, { code: 'COMMIT_UNKNOWN', outcome: 'unknown' }],
  ['was refused for good', refused, refused],
])('ends the session of a commit that %s, and never lends its id to the next one', async (_, error, expected) => {
  const client = new MongoClient('mongodb://127.0.0.1')
  const { transaction } = failing({ client, errors: [error], deadlineMs: 0 })
  const id = transaction.session.id?.id.toString('hex')
  expect(await failure(transaction)).toMatchObject(expected)
  await transaction.end()
  expect(killed).toHaveBeenCalledExactlyOnceWith({ killSessions: [transaction.session.id] })
  expect(client.startSession().id?.id.toString('hex')).not.toBe(id)
})

it('lends the id of a session whose transaction the server has ended', async () => {
  const client = new MongoClient('mongodb://127.0.0.1')
  const { transaction } = failing({ client, errors: [conflict] })
  const id = transaction.session.id?.id.toString('hex')
  await failure(transaction)
  await transaction.end()
  expect(client.startSession().id?.id.toString('hex')).toBe(id)
})

it('gives the driver the concerns that it was begun with', () => {
  const started = vi.spyOn(ClientSession.prototype, 'startTransaction')
  onTestFinished(() => started.mockRestore())
  const pool: TransactionPool = {
    client: new MongoClient('mongodb://127.0.0.1'),
    writeConcernTimeoutMs: 1000,
    send: (_, send) => send(),
  }
  const concerns = { readConcern: 'local', writeConcern: { w: 1, journal: true } } as const
  new MongoTransaction(pool, { id: 'tx', deadline: deadlineIn(120), activity, concerns })
  const expected = { readConcern: { level: 'local' }, writeConcern: { w: 1, journal: true, wtimeoutMS: 1000 } }
  expect(started).toHaveBeenCalledExactlyOnceWith(expect.objectContaining(expected))
})
