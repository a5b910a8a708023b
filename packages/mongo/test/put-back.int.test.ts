import { type ChainLink, dbContextError, type IncomingJob, type RunningUnit } from '@strata/db-context'
import { type Gate, gate } from '@strata/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'
import { holding } from './holder.ts'

interface Counter {
  _id: number
  n: number
}

let harness: Harness
let open: Gate
let ended: Promise<unknown>
beforeAll(async () => {
  harness = await startHarness({ url: inject('mongoUrl'), context: { lockWaitMs: 1000, report: () => {} } })
})
afterAll(() => harness[Symbol.asyncDispose]())
beforeEach(async () => {
  await outside().deleteMany({})
  await outside().insertMany([1, 2].map(_id => ({ _id, n: 0 })))
  open = gate()
  const hold = (session: Parameters<Parameters<typeof holding>[2]>[0]) =>
    outside().updateOne({ _id: 1 }, { $inc: { n: 100 } }, { session })
  ended = (await holding(harness.plain, open, hold)).ended
})
afterEach(async () => {
  open.open()
  await ended
})

const outside = () => harness.plain.db(harness.database).collection<Counter>('counters')
const increment = (_id: number) => harness.store.collection<Counter>('counters').updateOne({ _id }, { $inc: { n: 1 } })
/** Document 1 is held by another; 2 may be written before the server gives up. */
const slowUpdates = () =>
  harness.store.collection<Counter>('counters').updateMany({}, { $inc: { n: 1 } }, { maxTimeMS: 50 })
const begin = <T>(body: () => Promise<T>) => harness.db.transaction.begin(body)
const chain: ChainLink[] = [{ kind: 'run', name: 'request', id: 'run-1', level: 0 }]
const job: IncomingJob = { name: 'job', id: 'job-1', level: 1, chain, lane: { queue: 'q', level: 1 }, canPutBack: true }
const run = (body: () => Promise<unknown>, with_: Partial<IncomingJob> = {}) =>
  harness.db.propagator.run({ ...job, ...with_ }, body).catch(error => error)

it.each<[string, () => Promise<unknown>]>([
  ['a plain write', () => increment(1)],
  ['a transaction', () => begin(() => increment(1))],
  ['an upsert', () => harness.store.collection<Counter>('counters').replaceOne({ _id: 1 }, { n: 1 }, { upsert: true })],
  [
    'a write after a read',
    async () => {
      await harness.store.collection('counters').findOne({})
      await increment(1)
    },
  ],
])('a job that has done nothing yet and whose work is %s ends in LOCK_BLOCKED, to be put back', async (_, body) => {
  expect(await run(body)).toMatchObject({ code: 'LOCK_BLOCKED', outcome: 'not-applied', transient: true })
})

it.each<[string, () => Promise<unknown>]>([
  ['has applied a plain write', () => increment(2)],
  ['may have applied a write that was cut off', () => slowUpdates().catch(() => {})],
  ['has committed', () => begin(() => increment(2))],
  ['has called', async () => harness.db.propagator.call('other').sent()],
  ['has pushed', async () => void harness.db.propagator.push()],
  ['may have written on the service door', () => harness.store.service.collection('more').insertOne({})],
])('a job that %s waits where it is', async (_, first) => {
  const blocked = async () => {
    await first()
    await increment(1)
  }
  expect(await run(blocked)).toMatchObject({ code: 'LOCK_TIMEOUT' })
})

it('a job that nobody can put back, and a request, wait where they are', async () => {
  expect(await run(() => increment(1), { canPutBack: false })).toMatchObject({ code: 'LOCK_TIMEOUT' })
  expect(await harness.db.run(() => increment(1)).catch(error => error)).toMatchObject({ code: 'LOCK_TIMEOUT' })
})

it.each<[string, () => Promise<unknown>]>([
  ['a write that was cut off, and whose error was caught', () => slowUpdates().catch(() => {})],
  [
    'a write that nobody awaited',
    async () => {
      increment(2).catch(() => {})
      // The statement is under way, and nothing of it is known yet.
    },
  ],
])('%s counts as an effect of the job, whatever the error that it ends with', async (_, first) => {
  let unit: RunningUnit | undefined
  const refused = dbContextError('LEVEL_LIMIT', 'deeper than the limit')
  const ended = harness.db.propagator.run(job, async (_signal, running) => {
    unit = running
    await first()
    throw refused
  })
  await expect(ended).rejects.toBe(refused)
  expect(unit?.hasEffects).toBe(true)
})
