import { expect, test } from 'vitest'
import { Memory, MemoryStore, type Way } from '../../test/two-phase-commit/memory-store.ts'
import { accounts, clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { Coordinator } from './coordinator.ts'
import { createEngine } from './engine.ts'
import { open } from './opening.ts'
import { orderOf } from './parts.ts'
import { keyOf } from './record.ts'
import { protocol } from './table.ts'

/** More than any bounded drive pauses. */
const pausesMax = 1000

/** An engine whose clock goes on by its pauses alone, and whose drives are stopped where they do not end. */
function bench(way: Way, rules = protocol) {
  const memory = new Memory(1_000_000)
  memory.collection(accounts.collection).push({ _id: 'A', balance: 100 }, { _id: 'B', balance: 0 })
  const stop = new AbortController()
  let pauses = 0
  const engine = createEngine({
    store: new MemoryStore(memory, way),
    definitions: [transfer],
    protocol: rules,
    leaseMs,
    clockSkewMs,
    elapsedMs: () => memory.nowMs,
    pause: async ms => {
      pauses += 1
      if (pauses > pausesMax) stop.abort()
      memory.nowMs += ms
    },
  })
  const claimed = async (amount: number, id = 't') => {
    const order = await orderOf(transfer, { from: 'A', to: 'B', amount })
    const { record } = await open(engine, { id, order })
    return record
  }
  const drive = async (record: Awaited<ReturnType<typeof claimed>>) =>
    await new Coordinator(engine, stop.signal).drive(record)
  return { memory, stop, claimed, drive }
}

test('a participant that never answers is given up, also while the claim on the record can be renewed', async () => {
  const { stop, claimed, drive } = bench(async (what, run) => {
    if (what.endsWith(accounts.collection)) throw new Error('The connection broke')
    return run()
  })
  const end = await drive(await claimed(10))
  expect(stop.signal.aborted).toBe(false)
  expect(end).toMatchObject({ how: 'interrupted', error: new Error('The connection broke') })
})

test('a transfer that is refused leaves nothing on a document that lasts, however many are', async () => {
  const { memory, claimed, drive } = bench(async (_, run) => run())
  for (let number = 0; number < 20; number += 1) {
    expect(await drive(await claimed(500, `t${number}`))).toMatchObject({ record: { state: 'canceled' } })
  }
  for (const { settledTransactions } of memory.collection(accounts.collection)) {
    expect(settledTransactions).toHaveLength(1)
  }
})

test('one that was refused by a second statement leaves a tombstone that outlives the first', async () => {
  let broken = 0
  const { memory, claimed, drive } = bench(async (what, run) => {
    if (what === `update ${accounts.collection}` && broken < 2) {
      broken += 1
      throw new Error('The connection broke')
    }
    return run()
  })
  const record = await claimed(500)
  await drive(record)
  for (const { settledTransactions } of memory.collection(accounts.collection)) {
    expect(settledTransactions).toMatchObject([{ until: record.applyUntil }])
  }
})

test('whoever has lost its claim does not count the end of another as its own', async () => {
  const { memory, claimed, drive } = bench(async (what, run) => {
    const value = run()
    // Another takes over and ends it, while this one sends its steps.
    const ended = { state: 'done', token: 2, owner: 'other' }
    if (what === `update ${accounts.collection}`) Object.assign(memory.collection('records')[0] ?? {}, ended)
    return value
  })
  expect(await drive(await claimed(10))).toMatchObject({ how: 'lost', record: { state: 'done' } })
})

test('a tombstone of what has not begun is for a person to look at, and is not looked at for ever', async () => {
  const { memory, stop, claimed, drive } = bench(async (_, run) => run())
  const record = await claimed(10)
  const [document] = memory.collection(accounts.collection)
  Object.assign(document ?? {}, {
    settledTransactions: [{ key: keyOf(record, 0), id: 't', outcome: 'done', until: record.applyUntil }],
  })
  const end = await drive(record)
  expect(stop.signal.aborted).toBe(false)
  expect(end).toMatchObject({ how: 'stuck', record: { stuck: { code: 'TWO_PHASE_SETTLED_BEFORE', documentId: 'A' } } })
})

test.each([
  ['every-step-confirmed', 'stuck'],
  ['nothing', 'ended'],
] as const)('a cancellation that needs %s is %s where a document has vanished', async (needs, how) => {
  const close = { ...protocol.transitions.close, needs, waitsForMissing: false }
  const rules = { ...protocol, transitions: { ...protocol.transitions, close } }
  const { memory, claimed, drive } = bench(async (_, run) => run(), rules)
  const record = await claimed(10)
  Object.assign(memory.collection('records')[0] ?? {}, { state: 'canceling' })
  memory.collection(accounts.collection).pop()
  expect(await drive({ ...record, state: 'canceling' })).toMatchObject({ how })
})
