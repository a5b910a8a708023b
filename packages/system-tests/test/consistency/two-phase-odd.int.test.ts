import {
  createTwoPhaseCommit,
  defineParticipant,
  defineTwoPhase,
  type Part,
  type Participant,
  type TwoPhaseCommitOptions,
  transferOf,
} from '@strata/consistency/two-phase-commit'
import { createDbContext, StrataError } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { until } from '@strata/testkit'
import { Decimal128, Long } from 'mongodb'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { type PlainDocument, useStage } from './stage.ts'

const stage = useStage()
const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const leaseMs = 400
type Parts = (accounts: Participant, input: Record<string, string>) => readonly Part[]

/** An engine over `accounts` with a definition of its own, as if in a process of its own. */
async function engine(parts: Parts = () => [], options: Partial<TwoPhaseCommitOptions> = {}) {
  const store = mongoDatasource({ name: 'bank', url: inject('mongoUrl'), database: stage.database })
  const db = createDbContext({ datasources: [store] })
  const accounts = defineParticipant({ name: 'accounts', datasource: store, collection: 'accounts' })
  const odd = defineTwoPhase({
    name: 'odd',
    input: z.record(z.string(), z.string()),
    uses: [accounts],
    participants: input => parts(accounts, input),
  })
  const transfer = transferOf({ accounts, field: 'balance' })
  const given = { leaseMs, clockSkewMs: 0, report: () => {}, ...options }
  const commits = createTwoPhaseCommit({ db, datasource: store, definitions: [odd, transfer], ...given })
  stops.push(
    () => db.stop({ deadlineMs: 2000 }),
    () => commits.stop(),
  )
  await commits.ensureIndexes()
  return { commits, odd, transfer, accounts }
}

const plain = () => stage.plain('accounts')
const records = () => stage.plain('strata.transactions')
const fill = (...more: PlainDocument[]) =>
  plain().insertMany([{ _id: 'A', balance: 100 }, { _id: 'B', balance: 0 }, ...more])
const balanceOf = async (id: string) => (await plain().findOne({ _id: id }))?.['balance']
const told = async (work: Promise<unknown>) =>
  await work.then(
    () => 'nothing',
    error => (error instanceof StrataError ? `${error.code} ${error.outcome}` : error),
  )

const take = (accounts: Participant): Part => ({
  participant: accounts,
  id: 'A',
  apply: { $inc: { balance: -10 } },
  reverse: { $inc: { balance: 10 } },
})

/** Recovers until it has ended, as the schedule would. */
const ended = async ({ commits }: Pick<Awaited<ReturnType<typeof engine>>, 'commits'>, id = 't') => {
  const isEnded = async () => {
    await commits.recover()
    return ['done', 'canceled'].includes((await commits.get(id))?.state ?? '')
  }
  await until(isEnded, { deadlineMs: 20_000, message: `${id} to end` })
  return await commits.get(id)
}

describe('what the server will always refuse cancels', () => {
  test.each<[string, Partial<Part>]>([
    ['a value that another document has', { apply: { $set: { email: 'same' } } }],
    ['a guard whose function fails', { guard: { $expr: { $gte: [{ $toInt: '$level' }, 1] } } }],
    ['a guard that is a script which fails', { guard: { $where: 'this.nothing.there > 1' } }],
  ])('%s', async (_, part) => {
    const given = { id: 'B', apply: { $set: { z: 1 } }, reverse: { $unset: { z: 1, email: 1 } }, ...part }
    const { commits, odd } = await engine(accounts => [take(accounts), { participant: accounts, ...given }])
    await fill({ _id: 'C', email: 'same' })
    await plain().updateOne({ _id: 'B' }, { $set: { level: 'gold' } })
    await plain().createIndex({ email: 1 }, { unique: true, sparse: true })
    const end = await commits.run(odd, { input: {} })
    expect(end).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_STEP_REFUSED' } })
    expect(await balanceOf('A')).toBe(100)
  })

  test.each<[string, () => Promise<unknown>]>([
    [
      'a schema without room for the protocol',
      () =>
        stage.outside.command({
          collMod: 'accounts',
          validator: { $jsonSchema: { additionalProperties: false, properties: { _id: {}, balance: {} } } },
        }),
    ],
    ['a document that is full', () => plain().insertOne({ _id: 'C', balance: 0, text: 'x'.repeat(2 ** 24 - 60) })],
  ])('%s, once no write can come late', async (what, prepare) => {
    const one = await engine()
    await fill()
    await prepare()
    const input = { from: 'A', to: what.endsWith('full') ? 'C' : 'B', amount: 5 }
    const begun = await one.commits.run(one.transfer, { id: 't', input, deadlineMs: 2000 })
    expect(begun.outcome).toBe('not-applied')
    expect(await ended(one)).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_STEP_REFUSED' } })
    expect(await balanceOf('A')).toBe(100)
  })
})

test.each<[string, Partial<Part>]>([
  ['an element of an array by its place', { apply: { $set: { 'seats.$.taken': true } } }],
  ['a function for a guard', { guard: { $where: () => false } }],
  ['a guard of nothing', { guard: { state: undefined } }],
  ['a number and one inside it', { apply: { $inc: { n: 1, 'n.m': 1 } } }],
])('a part that has %s is refused', async (_, part) => {
  const { commits, odd } = await engine(accounts => [{ ...take(accounts), ...part }])
  await fill()
  expect(await told(commits.run(odd, { id: 't', input: {} }))).toBe('TWO_PHASE_INPUT_INVALID not-applied')
  expect(await commits.get('t')).toBeUndefined()
})

test.each([
  ['all are in force', 0, 'done', 1],
  ['none is, where the last refuses', 1, 'canceled', 0],
])('of thirty participants %s', async (_, least, state, n) => {
  const ids = Array.from({ length: 30 }, (_, index) => `p${index}`)
  const { commits, odd } = await engine(
    accounts =>
      ids.map(id => ({
        participant: accounts,
        id,
        guard: id === 'p29' ? { n: { $gte: least } } : {},
        apply: { $inc: { n: 1 } },
        reverse: { $inc: { n: -1 } },
      })),
    { leaseMs: 10_000 },
  )
  await plain().insertMany(ids.map(_id => ({ _id, n: 0 })))
  expect(await commits.run(odd, { input: {} })).toMatchObject({ state })
  expect(await plain().countDocuments({ n, 'pendingTransactions.0': { $exists: false } })).toBe(30)
})

test('a path may have any name in it', async () => {
  const { commits, odd } = await engine((accounts, { course }) => [
    {
      participant: accounts,
      id: 'A',
      apply: { $inc: { [`seats.${course}.taken`]: 1 } },
      reverse: { $inc: { [`seats.${course}.taken`]: -1 } },
    },
  ])
  await fill()
  expect(await commits.run(odd, { input: { course: '__proto__' } })).toMatchObject({ state: 'done' })
  expect(({} as Record<string, unknown>)['taken']).toBeUndefined()
})

test('two engines with records of their own do not take an id of the other for theirs', async () => {
  const [one, two] = [await engine(), await engine(() => [], { collection: 'others' })]
  await fill()
  const run = ({ commits, transfer }: typeof one) =>
    commits.run(transfer, { id: 'same', input: { from: 'A', to: 'B', amount: 10 } })
  expect(await Promise.all([run(one), run(two)])).toMatchObject([{ state: 'done' }, { state: 'done' }])
  expect([await balanceOf('A'), await balanceOf('B')]).toEqual([80, 20])
})

test('a document that takes part under two names has both updates', async () => {
  const again = mongoDatasource({
    name: 'again',
    url: `${inject('mongoUrl')}&retryReads=true`,
    database: stage.database,
  })
  const other = createDbContext({ datasources: [again] })
  stops.push(() => other.stop())
  const alias = defineParticipant({ name: 'alias', datasource: again, collection: 'accounts' })
  const store = mongoDatasource({ name: 'bank', url: inject('mongoUrl'), database: stage.database })
  const db = createDbContext({ datasources: [store] })
  const accounts = defineParticipant({ name: 'accounts', datasource: store, collection: 'accounts' })
  const add = (participant: Participant, by: number): Part => ({
    participant,
    id: 'A',
    apply: { $inc: { balance: by } },
    reverse: { $inc: { balance: -by } },
  })
  const both = defineTwoPhase({
    name: 'both',
    input: z.object({}),
    uses: [accounts, alias],
    participants: () => [add(accounts, -10), add(alias, 3)],
  })
  const commits = createTwoPhaseCommit({ db, datasource: store, definitions: [both] })
  stops.push(
    () => db.stop(),
    () => commits.stop(),
  )
  await fill()
  expect(await commits.run(both, { input: {} })).toMatchObject({ state: 'done' })
  expect(await balanceOf('A')).toBe(93)
})

test('the reverse of an id that was used again is not that of the one before', async () => {
  const { commits, transfer } = await engine()
  await fill()
  const input = { from: 'A', to: 'B', amount: 10 }
  await commits.run(transfer, { id: 't', input })
  await commits.reverse('t')
  // The window of the first is over, that of its reverse is not.
  await records().deleteOne({ _id: 't' })
  await commits.run(transfer, { id: 't', input })
  expect(await told(commits.reverse('t'))).toBe('TWO_PHASE_ID_REUSED not-applied')
  expect([await balanceOf('A'), await balanceOf('B')]).toEqual([90, 10])
})

describe('resolve', () => {
  const begin = async (change: object) => {
    const one = await engine()
    await fill()
    await one.commits.submit(one.transfer, { id: 't', input: { from: 'A', to: 'B', amount: 10 } })
    const { insertedId } = await records()
      .findOne({ _id: 't' })
      .then(found => ({ insertedId: `${found?.['mark']}.0` }))
    const entry = { key: insertedId, id: 't', delta: { balance: -10 } }
    await plain().updateOne({ _id: 'A' }, { $inc: { balance: -10 }, $set: { pendingTransactions: [entry] } })
    await records().updateOne({ _id: 't' }, { $set: { token: 1, owner: 'other', ...change } })
    return one
  }
  const minuteMs = 60_000
  const soon = () => new Date(Date.now() + minuteMs)
  const past = () => new Date(Date.now() - minuteMs)

  test.each([
    ['of a newer version', { v: 2, state: 'prepared' }, 'canceled', 'TWO_PHASE_RECORD_INVALID not-applied'],
    ['that another works on', { state: 'prepared', until: soon() }, 'canceled', 'TWO_PHASE_NOT_STUCK not-applied'],
    ['to no end', { state: 'prepared' }, 'bogus', 'TWO_PHASE_NOT_STUCK not-applied'],
  ])('does nothing about one %s', async (_, change, as, code) => {
    const { commits } = await begin(change)
    const before = [await plain().find().toArray(), await records().find().toArray()]
    expect(await told(commits.resolve('t', { as: as as 'canceled', by: 'me' }))).toBe(code)
    expect([await plain().find().toArray(), await records().find().toArray()]).toEqual(before)
  })

  test('tells what is to be corrected, and nobody touches that again', async () => {
    const stuck = { code: 'TWO_PHASE_STEP_REFUSED', message: '' }
    const { commits } = await begin({ state: 'canceling', stuck, until: past(), applyUntil: past() })
    const resolved = await commits.resolve('t', { as: 'canceled', by: 'me' })
    expect(resolved).toMatchObject({
      state: 'canceled',
      resolved: { by: 'me', left: [{ participant: 'accounts', id: 'A' }] },
    })
    await plain().updateOne({ _id: 'A' }, { $inc: { balance: 10 } })
    expect(await commits.recover()).toMatchObject({ taken: 0, faulty: [] })
    expect(await plain().findOne({ _id: 'A' })).toMatchObject({ balance: 100, pendingTransactions: [] })
  })
})

test.each([
  ['Decimal128', Decimal128.fromString('100.10'), '130.10'],
  ['Long', Long.fromString('9007199254740999'), '9007199254741029'],
  ['number', 100, '130'],
])('what is pending is taken from a %s exactly', async (_, balance, visible) => {
  const { commits, accounts } = await engine()
  const entry = { key: 'other.0', id: 'other', delta: { purse: { cents: -30 } } }
  await plain().insertOne({ _id: 'A', purse: { cents: balance, of: 1 }, pendingTransactions: [entry] })
  const [read] = await commits.read(accounts, ['A'])
  const purse = read?.visible['purse'] as { cents: unknown; of: number }
  expect([String(purse.cents), purse.of, read?.pending]).toEqual([visible, 1, { 'purse.cents': -30 }])
})

test('bounds that are none are refused', async () => {
  const { commits, transfer } = await engine()
  const input = { from: 'A', to: 'B', amount: 10 }
  for (const work of [
    () => commits.run(transfer, { input, deadlineMs: Number.NaN }),
    () => commits.cancel('t', { deadlineMs: -1 }),
    () => commits.recover({ limit: Number.NaN }),
    () => commits.recover({ olderThanMs: Number.NaN }),
    () => commits.list({ limit: Number.POSITIVE_INFINITY }),
    () => commits.list({ olderThanMs: -1 }),
  ]) {
    expect(await told(work())).toBe('CONFIG not-applied')
  }
})
