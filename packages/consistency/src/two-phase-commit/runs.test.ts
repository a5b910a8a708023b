import { expect, test } from 'vitest'
import { Memory, MemoryStore } from '../../test/two-phase-commit/memory-store.ts'
import { accounts, clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { createEngine } from './engine.ts'
import { submit } from './opening.ts'
import { orderOf } from './parts.ts'
import { Runs } from './runs.ts'
import { readRecord } from './transition.ts'

/** An engine over two accounts, which sends nothing after so many statements of the kind. */
function bench(kind = '', last = Number.POSITIVE_INFINITY) {
  const memory = new Memory(1_000_000)
  memory.collection(accounts.collection).push({ _id: 'A', balance: 100 }, { _id: 'B', balance: 0 })
  let sent = 0
  const store = new MemoryStore(memory, async (what, run) => {
    if (what === kind) sent += 1
    if (what === kind && sent > last) throw new Error('The process was killed')
    return run()
  })
  const engine = createEngine({ store, definitions: [transfer], leaseMs, clockSkewMs, elapsedMs: () => memory.nowMs })
  const submitted = async () =>
    await submit(engine, { id: 't', order: await orderOf(transfer, { from: 'A', to: 'B', amount: 10 }) })
  return { engine, memory, submitted }
}

test('an engine that is stopped takes nothing up', async () => {
  const { engine, submitted } = bench()
  const runs = new Runs(engine)
  const record = await submitted()
  await runs.stop(100)
  expect(await runs.takeUp(record)).toBeNull()
  expect(await readRecord(engine, 't')).toMatchObject({ state: 'initial' })
})

test('stopping ends within its deadline, whatever it waits for', async () => {
  const { engine } = bench()
  const never = new Promise(() => {})
  await new Runs(engine).stop(50, never)
})

test('what the database says of a statement is nothing about a transaction that has begun', async () => {
  const { engine, submitted } = bench('read records', 1)
  const record = await submitted()
  await expect(new Runs(engine).follow(record, undefined, 1000)).rejects.toMatchObject({
    code: 'TWO_PHASE_INTERRUPTED',
    outcome: 'unknown',
    cause: { message: 'The process was killed' },
  })
})
