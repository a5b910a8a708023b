import { expect, test } from 'vitest'
import { Memory, MemoryStore } from '../../test/two-phase-commit/memory-store.ts'
import { accounts, clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { createEngine } from './engine.ts'
import { submit } from './opening.ts'
import { orderOf } from './parts.ts'
import { keyOf, type TransactionRecord } from './record.ts'
import { recover } from './recovery.ts'
import { resolve } from './resolving.ts'
import { Runs } from './runs.ts'
import { transit } from './transition.ts'

const stuck = { code: 'TWO_PHASE_STEP_REFUSED', message: '' }
const canceled = { id: 't', as: 'canceled', by: 'me' } as const

/** A transfer from A to B, with its entry on A, that is stuck. */
async function begun(change: object) {
  const memory = new Memory(1_000_000)
  let left = Number.POSITIVE_INFINITY
  const store = new MemoryStore(memory, async (what, run) => {
    if (what === `update ${accounts.collection}`) left -= 1
    if (left < 0) throw new Error('The process was killed')
    return run()
  })
  const engine = createEngine({ store, definitions: [transfer], leaseMs, clockSkewMs, elapsedMs: () => memory.nowMs })
  await submit(engine, { id: 't', order: await orderOf(transfer, { from: 'A', to: 'B', amount: 10 }) })
  await transit(engine, 'start', { id: 't', claim: { owner: 'one' } })
  const record = () => (memory.collection('records') as unknown as [TransactionRecord])[0]
  const entry = { key: keyOf(record(), 0), id: 't', delta: { balance: -10 } }
  const all = [
    { _id: 'A', balance: 90, pendingTransactions: [entry] },
    { _id: 'B', balance: 0 },
  ]
  memory.collection(accounts.collection).push(...all)
  const stick = () => void Object.assign(record(), { stuck, until: new Date(0) }, change)
  stick()
  const later = () => {
    memory.nowMs += leaseMs + clockSkewMs + 1
  }
  /** Kills it once it has sent so many updates of documents. */
  const killAfter = (updates: number) => {
    left = updates
  }
  return { engine, memory, record, stick, later, killAfter }
}

test('nothing is cleared while an update may still arrive', async () => {
  const { engine, memory, later } = await begun({ state: 'canceling' })
  const documents = structuredClone(memory.collection(accounts.collection))
  await expect(resolve(engine, canceled)).rejects.toMatchObject({ code: 'TWO_PHASE_NOT_SETTLED', transient: true })
  expect(memory.collection(accounts.collection)).toEqual(documents)
  later()
  expect(await resolve(engine, canceled)).toMatchObject({ state: 'canceled', left: [0] })
  expect(memory.collection(accounts.collection)).toMatchObject([{ balance: 90, pendingTransactions: [] }, {}])
})

test('one that is pending is canceled first, and nobody applies anything for it any more', async () => {
  const { engine, record, later, stick } = await begun({})
  later()
  await expect(resolve(engine, canceled)).rejects.toMatchObject({ code: 'TWO_PHASE_NOT_SETTLED' })
  expect(record()).toMatchObject({ state: 'canceling', cause: stuck })
  later()
  stick()
  expect(await resolve(engine, canceled)).toMatchObject({ state: 'canceled', left: [0] })
})

test('whoever resolves it again after a crash is told of what was in place before that', async () => {
  const { engine, memory, later, killAfter } = await begun({ state: 'canceling' })
  later()
  killAfter(1)
  await expect(resolve(engine, canceled)).rejects.toMatchObject({ code: 'TWO_PHASE_INTERRUPTED', outcome: 'unknown' })
  expect(memory.collection(accounts.collection)).toMatchObject([{ pendingTransactions: [] }, {}])
  killAfter(Number.POSITIVE_INFINITY)
  later()
  expect(await resolve(engine, canceled)).toMatchObject({ state: 'canceled', left: [0] })
})

test('recovery carries out what a person had decided who was killed amid it', async () => {
  const { engine, memory, record, later, killAfter } = await begun({ state: 'canceling' })
  later()
  killAfter(1)
  await expect(resolve(engine, canceled)).rejects.toMatchObject({ code: 'TWO_PHASE_INTERRUPTED' })
  killAfter(Number.POSITIVE_INFINITY)
  later()
  expect(await recover(engine, new Runs(engine), {})).toMatchObject({ taken: 1, canceled: 1 })
  expect(record()).toMatchObject({ state: 'canceled', resolved: { by: 'me' }, left: [0] })
  expect(memory.collection(accounts.collection)).toMatchObject([{ balance: 90 }, { balance: 0 }])
})

test('of what is in force nothing is left to be corrected', async () => {
  const { engine, later } = await begun({ state: 'applied' })
  later()
  expect(await resolve(engine, { ...canceled, as: 'done' })).toMatchObject({ state: 'done', left: [] })
})

test('one that names a participant of another process is not resolved here, and nothing is done', async () => {
  const { engine, memory, record } = await begun({ state: 'canceling' })
  const parts = record().parts.map((part, index) => (index === 1 ? { ...part, participant: 'other' } : part))
  Object.assign(record(), { parts })
  const before = structuredClone(memory.collection('records'))
  await expect(resolve(engine, canceled)).rejects.toMatchObject({
    code: 'TWO_PHASE_DEFINITION_UNKNOWN',
    outcome: 'not-applied',
  })
  expect(memory.collection('records')).toEqual(before)
})
