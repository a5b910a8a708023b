import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Memory, MemoryStore, type Way } from '../../test/two-phase-commit/memory-store.ts'
import { accounts, clockSkewMs, leaseMs, transfer } from '../../test/two-phase-commit/world.ts'
import { createEngine } from './engine.ts'
import { facadeOf } from './facade.ts'
import { open } from './opening.ts'
import { orderOf } from './parts.ts'
import { Runs } from './runs.ts'
import { readRecord } from './transition.ts'

// Only what bounds a wait: deadlines are passed to the millisecond, on however busy a machine.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] }))
afterEach(() => void vi.useRealTimers())

function bench(way: Way) {
  const memory = new Memory(1_000_000)
  memory.collection(accounts.collection).push({ _id: 'A', balance: 100 }, { _id: 'B', balance: 0 })
  const store = new MemoryStore(memory, way)
  return createEngine({ store, definitions: [transfer], leaseMs, clockSkewMs, pause: async () => void (await turn()) })
}

/** Whether `work` has ended, once so many milliseconds are over. */
async function isOverAfter(work: Promise<unknown>, ms: number): Promise<boolean> {
  let isOver = false
  const over = work.then(() => {
    isOver = true
  })
  over.catch(() => {})
  await vi.advanceTimersByTimeAsync(ms)
  await turn()
  return isOver
}

async function running(way: Way) {
  const engine = bench(way)
  const runs = new Runs(engine)
  const order = await orderOf(transfer, { from: 'A', to: 'B', amount: 10 })
  const { record } = await open(engine, { id: 't', order })
  runs.drive(record).catch(() => {})
  return { engine, runs }
}

const never = new Promise<never>(() => {})
const isStep = (what: string) => what === `update ${accounts.collection}`

test('stopping waits once for what never ends', async () => {
  const { runs } = await running(async (what, run) => (isStep(what) ? await never : run()))
  expect(await isOverAfter(runs.stop(1000), 1000)).toBe(true)
})

test('what runs is let go of within the deadline of stopping', async () => {
  const { engine, runs } = await running(async (what, run) => {
    if (isStep(what)) await new Promise(resolve => setTimeout(resolve, 900))
    return run()
  })
  expect(await isOverAfter(runs.stop(1000), 1000)).toBe(true)
  const left = await readRecord(engine, 't')
  expect(left).toMatchObject({ state: 'applied' })
  expect(left).not.toHaveProperty('owner')
})

test('stopping waits for a round of recovery, within its deadline', async () => {
  const runs = new Runs(bench(async (_, run) => run()))
  const more = Promise.withResolvers<void>()
  const stopped = runs.stop(1000, more.promise)
  expect(await isOverAfter(stopped, 999)).toBe(false)
  more.resolve()
  expect(await isOverAfter(stopped, 0)).toBe(true)
})

test('a round of recovery that never ends keeps no engine from being stopped', async () => {
  const engine = bench(async (what, run) => (what === 'read records' ? await never : run()))
  const db = { current: { transaction: undefined } } as never
  const commits = facadeOf({ engine, db, definitions: [transfer], recoverEveryMs: 1000, report: () => {} })
  commits.start()
  expect(await isOverAfter(commits.stop({ deadlineMs: 1000 }), 1000)).toBe(true)
})
