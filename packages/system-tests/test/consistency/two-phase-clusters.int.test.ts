import {
  atLeast,
  createTwoPhaseCommit,
  defineParticipant,
  defineTwoPhase,
  transferOf,
} from '@strata/consistency/two-phase-commit'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { type ServerHandle, seedFrom, startMongo, until } from '@strata/testkit'
import { type Document, MongoClient, ObjectId } from 'mongodb'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { useStage } from './stage.ts'

const stage = useStage()
const stops: (() => Promise<unknown>)[] = []
const leaseMs = 1000
let server: ServerHandle
let client: MongoClient

beforeAll(async () => {
  server = await startMongo({ report: () => {} })
  client = await new MongoClient(server.url).connect()
})
afterAll(async () => {
  await client.close()
  await server.stop()
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

type Account = Document & { readonly _id: string; readonly balance: number }

/** An engine whose records are on one server, with accounts there and on another. */
async function engine() {
  const here = mongoDatasource({ name: 'here', url: inject('mongoUrl'), database: stage.database })
  const there = mongoDatasource({ name: 'there', url: server.url, database: stage.database })
  const db = createDbContext({ datasources: [here, there] })
  const near = defineParticipant({ name: 'near', datasource: here, collection: 'accounts' })
  const far = defineParticipant({ name: 'far', datasource: there, collection: 'accounts' })
  const wire = defineTwoPhase({
    name: 'wire',
    input: z.object({ near: z.string(), far: z.string(), amount: z.number().int() }),
    uses: [near, far],
    participants: ({ near: nearId, far: farId, amount }) =>
      [
        { participant: near, id: nearId, by: -amount },
        { participant: far, id: farId, by: amount },
      ].map(({ by, ...part }) => ({
        ...part,
        guard: by < 0 ? atLeast('balance', -by) : {},
        apply: { $inc: { balance: by } },
        reverse: { $inc: { balance: -by } },
      })),
  })
  const transfer = transferOf({ accounts: near, field: 'balance' })
  const definitions = [wire, transfer]
  const commits = createTwoPhaseCommit({ db, datasource: here, definitions, leaseMs, clockSkewMs: 100 })
  const farAccounts = client.db(stage.database).collection<Account>('accounts')
  stops.push(
    () => client.db(stage.database).dropDatabase(),
    () => db.stop({ deadlineMs: 2000 }),
    () => commits.stop({ deadlineMs: 1000 }),
  )
  await commits.ensureIndexes()
  return { commits, wire, transfer, near, far, farAccounts }
}

test('of a transfer between two servers each tells what is in force and what is pending', async () => {
  const { commits, wire, near, far, farAccounts } = await engine()
  const bank = new ObjectId()
  await stage.plain('accounts').insertOne({ _id: 'A', balance: 100, bank })
  await farAccounts.insertOne({ _id: 'B', balance: 0 })
  await using session = client.startSession()
  session.startTransaction()
  await farAccounts.updateOne({ _id: 'B' }, { $inc: { seen: 1 } }, { session })
  const running = commits.run(wire, { id: 't', input: { near: 'A', far: 'B', amount: 30 } })
  const [read, message] = [async () => await commits.read(near, ['A']), 'one of two to be applied']
  const pending = async () => (await read()).some(({ transactions }) => transactions.length > 0)
  await until(pending, { deadlineMs: 20_000, message })
  expect(await read()).toMatchObject([
    { visible: { balance: 100, bank }, pending: { balance: -30 }, transactions: [{ id: 't', state: 'pending' }] },
  ])
  expect(await commits.read(far, ['B'])).toMatchObject([{ visible: { balance: 0 }, pending: {}, transactions: [] }])
  await session.abortTransaction()
  expect(await running).toMatchObject({ state: 'done' })
  const [ended] = await read()
  expect(ended?.visible['bank']).toStrictEqual(bank)
  expect(await read()).toMatchObject([{ visible: { balance: 70 }, pending: {} }])
  expect(await commits.read(far, ['B'])).toMatchObject([{ visible: { balance: 30 }, pending: {} }])
})

test('a server that stands still for longer than leases keeps its own transfers, and they end once it goes on', async () => {
  const { commits, wire, transfer, farAccounts } = await engine()
  const names = ['A', 'B', 'C']
  await stage.plain('accounts').insertMany(names.map(_id => ({ _id, balance: 100 })))
  await farAccounts.insertMany(names.map(_id => ({ _id, balance: 100 })))
  const seed = seedFrom()
  const name = () => names[seed.integer(0, 2)] ?? ''
  const wires = Array.from({ length: 20 }, async (_, index) => {
    const input = { near: name(), far: name(), amount: seed.integer(-60, 60) || 1 }
    return await commits.run(wire, { id: `w${index}`, input, deadlineMs: 100 }).catch(() => undefined)
  })
  await wires[0]
  await server.kill?.('SIGSTOP')
  stops.push(async () => await server.kill?.('SIGCONT'))
  const local = await commits.run(transfer, { input: { from: 'A', to: 'B', amount: 1 }, deadlineMs: 20_000 })
  expect(local.outcome).not.toBe('unknown')
  const inDoubt = async () => (await commits.inDoubt()).length
  // Recovery comes upon those whose leases have run out, and does not wait for that server for ever.
  const triedInVain = async () => (await commits.recover()).open > 0
  await until(triedInVain, { deadlineMs: 60_000, message: 'a transfer to be taken up in vain' })
  await server.kill?.('SIGCONT')
  await Promise.all(wires)
  const ended = async () => {
    await commits.recover()
    return (await inDoubt()) === 0
  }
  await until(ended, { deadlineMs: 60_000, message: `all to end, seed ${seed.value}` })
  const all = [...(await stage.plain('accounts').find().toArray()), ...(await farAccounts.find().toArray())]
  const balances = all.map(({ balance }) => Number(balance))
  expect(balances.reduce((sum, each) => sum + each)).toBe(600)
  expect(Math.min(...balances), `seed ${seed.value}`).toBeGreaterThanOrEqual(0)
})
