import { dbContextError } from '@strata/db-context'
import { expect, test } from 'vitest'
import { Memory, MemoryStore } from '../../test/two-phase-commit/memory-store.ts'
import { clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { createEngine } from './engine.ts'
import { open } from './opening.ts'
import { orderOf } from './parts.ts'

const notSent = dbContextError('STOPPED', 'Nothing was sent', { outcome: 'not-applied' })
const lost = new Error('The answer got lost')

/** Opens a transaction whose inserts fail so, one after the other; the last of them again and again. */
async function opened(errors: readonly Error[], pausedMs = 0) {
  const memory = new Memory(1_000_000)
  let tries = 0
  const store = new MemoryStore(memory, async (what, run) => {
    const error = what === 'insert records' ? (errors[tries] ?? errors.at(-1)) : undefined
    tries += 1
    if (error) throw error
    return run()
  })
  const pause = async () => {
    memory.nowMs += pausedMs
  }
  const elapsedMs = () => memory.nowMs
  const engine = createEngine({ store, definitions: [transfer], leaseMs, clockSkewMs, pause, elapsedMs })
  const order = await orderOf(transfer, { from: 'A', to: 'B', amount: 10 })
  const error = await open(engine, { id: 't', order }).catch((thrown: unknown) => thrown)
  return { error, tries }
}

test('a record that was not made is told of as that', async () => {
  expect((await opened([notSent])).error).toBe(notSent)
})

test('one that may have been made is in doubt, whatever a later try says', async () => {
  const { error } = await opened([lost, notSent])
  expect(error).toMatchObject({ code: 'TWO_PHASE_INTERRUPTED', outcome: 'unknown', cause: notSent })
})

test('a record is not made again once its claim would have run out', async () => {
  expect((await opened([lost], leaseMs + 1)).tries).toBe(2)
})
