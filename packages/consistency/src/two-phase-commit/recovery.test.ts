import { expect, test } from 'vitest'
import { Memory, MemoryStore } from '../../test/two-phase-commit/memory-store.ts'
import { accounts, clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { createEngine } from './engine.ts'
import { submit } from './opening.ts'
import { orderOf } from './parts.ts'
import { recover } from './recovery.ts'
import { Runs } from './runs.ts'

test('what keeps recovery from going on is told of', async () => {
  const memory = new Memory(1_000_000)
  const store = new MemoryStore(memory, async (what, run) => {
    if (what.endsWith(accounts.collection)) throw new Error('The connection broke')
    return run()
  })
  const pause = async (ms: number) => {
    memory.nowMs += ms
  }
  const elapsedMs = () => memory.nowMs
  const engine = createEngine({ store, definitions: [transfer], leaseMs, clockSkewMs, pause, elapsedMs })
  await submit(engine, { id: 't', order: await orderOf(transfer, { from: 'A', to: 'B', amount: 10 }) })
  const { open, faulty } = await recover(engine, new Runs(engine), {})
  expect(open).toBe(1)
  expect(faulty).toMatchObject([{ id: 't', cause: { message: 'The connection broke' } }])
})
