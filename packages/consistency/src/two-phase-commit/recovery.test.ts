import { expect, test } from 'vitest'
import { Memory, MemoryStore } from '../../test/two-phase-commit/memory-store.ts'
import { accounts, clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { createEngine } from './engine.ts'
import { submit } from './opening.ts'
import { orderOf } from './parts.ts'
import { recover } from './recovery.ts'
import { Runs } from './runs.ts'

/** More than any bounded recovery pauses. */
const pausesMax = 10_000

/** An engine over accounts whose store does not answer. */
function bench(reached: string[] = []) {
  const memory = new Memory(1_000_000)
  const store = new MemoryStore(memory, async (what, run) => {
    if (!what.endsWith(accounts.collection)) return run()
    reached.push(what)
    throw new Error('The connection broke')
  })
  let pauses = 0
  const pause = async (ms: number) => {
    pauses += 1
    // In one turn of the event loop: what never gave up would keep even the time limit of a test from passing.
    if (pauses > pausesMax) throw new Error('It does not end')
    memory.nowMs += ms
  }
  const elapsedMs = () => memory.nowMs
  const engine = createEngine({ store, definitions: [transfer], leaseMs, clockSkewMs, pause, elapsedMs })
  const submitted = async (id: string) =>
    await submit(engine, { id, order: await orderOf(transfer, { from: 'A', to: 'B', amount: 10 }) })
  return { engine, memory, submitted }
}

test('what keeps recovery from going on is told of', async () => {
  const { engine, submitted } = bench()
  await submitted('t')
  const { open, faulty } = await recover(engine, new Runs(engine), {})
  expect(open).toBe(1)
  expect(faulty).toMatchObject([{ id: 't', cause: { message: 'The connection broke' } }])
})

test('a server that is away is waited for once, not by each of its transactions, and those take turns', async () => {
  const { engine, memory, submitted } = bench()
  const all = 50
  for (let number = 0; number < all; number += 1) await submitted(`t${number}`)
  const { taken, open } = await recover(engine, new Runs(engine), {})
  // As many as are worked on at once.
  expect({ taken, open }).toEqual({ taken: 4, open: all })
  expect(memory.collection('records').every(({ touchedAt }) => Number(touchedAt) > 1_000_000)).toBe(true)
})
