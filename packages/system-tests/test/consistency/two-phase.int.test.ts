import { randomUUID } from 'node:crypto'
import { createLock } from '@strata/consistency/lock'
import {
  atLeast,
  createTwoPhaseCommit,
  defineParticipant,
  defineTwoPhase,
  type TwoPhaseCommit,
  type TwoPhaseCommitOptions,
  transferOf,
} from '@strata/consistency/two-phase-commit'
import { createDbContext, hasCode } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { seedFrom, startCommandProxy } from '@strata/testkit'
import { afterEach, expect, inject, test } from 'vitest'
import { z } from 'zod'
import { useStage } from './stage.ts'

const stage = useStage()
const stops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

const balances = [100, 100, 100, 0]
const total = 300
const ids = balances.map((_, index) => `a${index}`)

async function fill(): Promise<void> {
  await stage.plain('accounts').insertMany(balances.map((balance, index) => ({ _id: `a${index}`, balance })))
}

const bank = (database = stage.database, url = inject('mongoUrl'), serviceMax = 8): MongoDatasource =>
  mongoDatasource({ name: 'bank', url, database, pool: { serviceMax } })

/** An engine as if in a process of its own. */
async function engine(options: Partial<TwoPhaseCommitOptions> = {}, store = bank()) {
  const db = createDbContext({ datasources: [store] })
  const accounts = defineParticipant({ name: 'accounts', datasource: store, collection: 'accounts' })
  const transfer = transferOf({ accounts, field: 'balance' })
  const commits = createTwoPhaseCommit({ db, datasource: store, definitions: [transfer], ...options })
  stops.push(
    () => db.stop({ deadlineMs: 2000 }),
    () => commits.stop(),
  )
  await commits.ensureIndexes()
  return { db, store, accounts, transfer, commits }
}

const sum = async () => {
  const documents = await stage.plain('accounts').find().toArray()
  return documents.reduce((all, { balance }) => all + Number(balance), 0)
}

test('transfers between few accounts add up at every moment, and one in doubt ends elsewhere', async () => {
  await fill()
  const [one, two] = [await engine(), await engine()]
  const seed = seedFrom()
  const move = () => {
    const from = seed.integer(0, 3)
    const to = (from + seed.integer(1, 3)) % 4
    return { from: `a${from}`, to: `a${to}`, amount: seed.integer(1, 60) }
  }
  let isOver = false
  const sums = new Set<number>()
  const watch = async () => {
    for (; !isOver; ) {
      const documents = await one.commits.read(one.accounts, ids)
      sums.add(documents.reduce((all, { visible }) => all + Number(visible['balance']), 0))
    }
  }
  const watching = watch()
  const work = Array.from({ length: 4 }, async (_, worker) => {
    const { commits, transfer } = worker % 2 ? one : two
    for (let index = 0; index < 10; index += 1) {
      const { state, cause } = await commits.run(transfer, { input: move(), deadlineMs: 30_000 })
      expect(['done', 'canceled']).toContain(state)
      if (state === 'canceled') expect(cause?.code).toBe('TWO_PHASE_GUARD_FAILED')
    }
  })
  await Promise.all(work)
  isOver = true
  await watching
  expect([...sums], `seed ${seed.value}`).toEqual([total])
  expect(await sum()).toBe(total)
  expect(await stage.plain('accounts').countDocuments({ balance: { $lt: 0 } })).toBe(0)
  expect(await one.commits.recover()).toMatchObject({ taken: 0, faulty: [] })
})

/** What both sides of a race are told, by the state that it ended in. */
const raceEnds: Readonly<Record<string, object>> = {
  done: { outcome: 'applied', told: 'TWO_PHASE_TOO_LATE' },
  canceled: { outcome: 'not-applied', cause: 'TWO_PHASE_CANCELED', told: 'canceled' },
}

test('a cancel that races with the steps leaves one outcome, which is what it was told', async () => {
  await fill()
  const [one, two] = [await engine(), await engine()]
  const rounds = Number(process.env['STRATA_ROUNDS'] || 40)
  const seed = seedFrom()
  const move = (from: string, to: string, id: string = randomUUID()) =>
    one.commits.run(one.transfer, { id, input: { from, to, amount: 1 } })
  const begun = performance.now()
  for (const [from, to] of [['a0', 'a1'] as const, ['a1', 'a0'] as const]) await move(from, to)
  const transferMs = (performance.now() - begun) / 2
  const outcomes: Record<string, number> = { done: 0, canceled: 0 }
  for (let round = 0; round < rounds; round += 1) {
    const id = `race-${round}`
    const canceled = cancelSoon(two.commits, id, seed.next() * 2 * transferMs)
    const [{ state, outcome, cause }, told] = await Promise.all([move('a0', 'a1', id), canceled])
    const ended = { outcome, ...(cause && { cause: cause.code }), told }
    expect({ round, seed: seed.value, ended }).toEqual({ round, seed: seed.value, ended: raceEnds[state] })
    expect(await balancesOf('a0', 'a1')).toEqual(state === 'done' ? [99, 101] : [100, 100])
    outcomes[state] = (outcomes[state] ?? 0) + 1
    if (state === 'done') await move('a1', 'a0')
  }
  // Of cancels up to twice as late as a transfer takes, some come too late and some do not.
  const { done = 0, canceled = 0, ...others } = outcomes
  expect({ ended: done + canceled, others }, `seed ${seed.value}`).toEqual({ ended: rounds, others: {} })
  expect(Math.min(done, canceled), `done ${done}, canceled ${canceled}, seed ${seed.value}`).toBeGreaterThan(0)
  expect(await stage.plain('accounts').findOne({ _id: 'a0' })).toMatchObject({ balance: 100, pendingTransactions: [] })
  expect(await sum()).toBe(total)
}, 600_000)

const balancesOf = async (...names: string[]) =>
  Promise.all(names.map(async _id => Number((await stage.plain('accounts').findOne({ _id }))?.['balance'])))

async function cancelSoon(commits: TwoPhaseCommit, id: string, afterMs: number): Promise<string> {
  await new Promise(resolve => setTimeout(resolve, afterMs))
  for (;;) {
    try {
      return (await commits.cancel(id)).state
    } catch (error) {
      // It has not been made yet.
      if (!hasCode(error, 'TWO_PHASE_NOT_FOUND'))
        return error instanceof Error && 'code' in error ? String(error.code) : ''
    }
  }
}

test('several coordinators of one id are one transaction', async () => {
  await fill()
  const engines = [await engine(), await engine(), await engine()]
  for (let round = 0; round < 5; round += 1) {
    const input = { from: 'a0', to: 'a3', amount: 10 }
    const ends = await Promise.all(
      engines.map(({ commits, transfer }) => commits.run(transfer, { id: `t${round}`, input })),
    )
    expect(ends.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
  }
  expect(await stage.plain('accounts').findOne({ _id: 'a3' })).toMatchObject({ balance: 50 })
})

test('an uncontended transfer takes two writes a participant and three of its record', async () => {
  await fill()
  const commands: string[] = []
  const writes = ['insert', 'update', 'findAndModify', 'find', 'aggregate']
  const proxy = await startCommandProxy(stage.url, ({ name }) => {
    if (writes.includes(name)) commands.push(name)
    return undefined
  })
  stops.push(() => proxy.stop())
  const { commits, transfer } = await engine({}, bank(stage.database, proxy.url))
  const input = { from: 'a0', to: 'a1', amount: 1 }
  await commits.run(transfer, { input })
  commands.length = 0
  await commits.run(transfer, { input })
  expect(commands).toEqual(['insert', 'update', 'update', 'findAndModify', 'update', 'update', 'findAndModify'])
})

test('it is refused inside a transaction, and runs in a unit of work and outside any', async () => {
  await fill()
  const { db, commits, transfer } = await engine()
  const input = { from: 'a0', to: 'a1', amount: 1 }
  const inside = db.run(() => db.transaction.begin(() => commits.run(transfer, { id: 'inside', input })))
  expect(await inside.catch(error => error.code)).toBe('TWO_PHASE_IN_TRANSACTION')
  expect(await commits.get('inside')).toBeUndefined()
  expect(await db.run(() => commits.run(transfer, { input }))).toMatchObject({ state: 'done' })
  expect(await commits.run(transfer, { input })).toMatchObject({ state: 'done' })
})

test('participants of several databases and contexts, with a definition of their own', async () => {
  const [money, places] = [bank(), bank(`${stage.database}-places`)]
  const db = createDbContext({ datasources: [money] })
  const other = createDbContext({ datasources: [places] })
  const accounts = defineParticipant({ name: 'accounts', datasource: money, collection: 'accounts' })
  const courses = defineParticipant({ name: 'courses', datasource: places, collection: 'courses' })
  const booking = defineTwoPhase({
    name: 'booking',
    input: z.object({ student: z.string(), course: z.string(), cents: z.number().int().positive() }),
    uses: [accounts, courses],
    participants: ({ student, course, cents }) => [
      {
        participant: accounts,
        id: student,
        guard: atLeast('wallet.cents', cents),
        apply: { $inc: { 'wallet.cents': -cents } },
        reverse: { $inc: { 'wallet.cents': cents } },
      },
      {
        participant: courses,
        id: course,
        guard: { seats: { $gte: 1 } },
        apply: { $inc: { seats: -1 }, $push: { students: student } },
        reverse: { $inc: { seats: 1 }, $pull: { students: student } },
      },
    ],
  })
  const commits = createTwoPhaseCommit({ db, datasource: money, definitions: [booking] })
  stops.push(
    async () => void (await stage.outside.client.db(`${stage.database}-places`).dropDatabase()),
    () => other.stop(),
    () => db.stop(),
    () => commits.stop(),
  )
  await commits.ensureIndexes()
  await stage.plain('accounts').insertOne({ _id: 's', wallet: { cents: 100 } })
  const seats = stage.outside.client
    .db(`${stage.database}-places`)
    .collection<{ _id: string; seats: number }>('courses')
  await seats.insertOne({ _id: 'c', seats: 1 })
  const input = { student: 's', course: 'c', cents: 40 }
  expect(await commits.run(booking, { input })).toMatchObject({ state: 'done' })
  const again = await commits.run(booking, { input })
  expect(again).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_GUARD_FAILED', participant: 'courses' } })
  expect(await stage.plain('accounts').findOne({ _id: 's' })).toMatchObject({ wallet: { cents: 60 } })
  expect(await commits.read(courses, ['c'])).toMatchObject([{ visible: { seats: 0, students: ['s'] }, pending: {} }])
})

test('options that cannot work are refused', async () => {
  const store = bank()
  const db = createDbContext({ datasources: [store] })
  stops.push(() => db.stop())
  const accounts = defineParticipant({ name: 'accounts', datasource: store, collection: 'accounts' })
  const twin = defineParticipant({ name: 'twin', datasource: store, collection: 'accounts' })
  const transfer = transferOf({ accounts, field: 'balance' })
  const make = (options: Partial<TwoPhaseCommitOptions>) =>
    createTwoPhaseCommit({ db, datasource: store, definitions: [transfer], ...options })
  for (const options of [
    { windowMs: 15_000 },
    { leaseMs: 1 },
    { entriesMax: 0 },
    { recoverEveryMs: 1 },
    { definitions: [transfer, transferOf({ accounts, field: 'other' })] },
    { definitions: [transfer, transferOf({ name: 'other', accounts: twin, field: 'balance' })] },
  ]) {
    expect(() => make(options)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  }
})

/** Whether a lease is kept while a dozen transfers wait for an account that a transaction holds. */
async function isLeaseKept(serviceMax: number): Promise<boolean> {
  await fill()
  const { db, store, transfer, commits } = await engine({}, bank(stage.database, inject('mongoUrl'), serviceMax))
  const lock = createLock({ db, datasource: store })
  await lock.ensureIndexes()
  const session = stage.outside.client.startSession()
  stops.push(() => session.endSession())
  session.startTransaction()
  await stage.plain('accounts').updateOne({ _id: 'a0' }, { $inc: { seen: 1 } }, { session })
  const moves = Array.from({ length: 12 }, () => commits.run(transfer, { input: { from: 'a0', to: 'a1', amount: 1 } }))
  const kept = await db
    .run(() =>
      lock.withLease(
        'report',
        async ({ signal }) => {
          const lost = Promise.withResolvers<boolean>()
          signal.addEventListener('abort', () => lost.resolve(false))
          const heldMs = setTimeout(() => lost.resolve(true), 6 * leaseTtlMs)
          return await lost.promise.finally(() => clearTimeout(heldMs))
        },
        { ttlMs: leaseTtlMs },
      ),
    )
    .catch(error => !hasCode(error, 'LOCK_LOST'))
  await session.abortTransaction()
  for (const { state } of await Promise.all(moves)) expect(state).toBe('done')
  return kept
}

const leaseTtlMs = 1000

test.each([
  [2, 'is kept', true],
  [1, 'is lost, for want of a connection that waits for nothing', false],
])('with %i service connections a lease %s while transfers wait for a document', async (serviceMax, _, kept) => {
  expect(await isLeaseKept(serviceMax)).toBe(kept)
})
