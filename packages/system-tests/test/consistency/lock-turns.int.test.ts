import { createLock } from '@strata/consistency/lock'
import { gate, seedFrom, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage()

/** Locks as if in a process of their own. */
async function process() {
  const { db, store } = stage.place()
  await db.start()
  return { db, lock: createLock({ db, datasource: store, waitMs: 50_000 }) }
}

test('who waits is granted in the order of asking, over processes', async () => {
  const processes = [await process(), await process()] as const
  const [{ lock }] = processes
  const lease = await lock.tryAcquire('a')
  const granted: number[] = []
  const waits: Promise<unknown>[] = []
  for (let n = 0; n < 8; n += 1) {
    const own = processes[n % 2] ?? processes[0]
    waits.push(own.db.run(() => own.lock.withLease('a', async () => void granted.push(n))))
    const hasPlace = async () => (await lock.inspect('a'))?.waiting === n + 1
    await until(hasPlace, { deadlineMs: 10_000, message: `a place for waiter ${n}` })
  }
  // Whoever does not wait comes after all who do.
  await lease?.release()
  const tried = await processes[1].lock.tryAcquire('a')
  await Promise.all(waits)
  expect(tried).toBeUndefined()
  expect(granted).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
})

test('nobody waits for more grants than others can have asked before: who asks again at once comes last', async () => {
  const callers = 6
  const rounds = 8
  const seed = seedFrom()
  const processes = [await process(), await process()] as const
  const waited: number[] = []
  let grants = 0
  const caller = async (n: number) => {
    const { db, lock } = processes[n % 2] ?? processes[0]
    for (let round = 0; round < rounds; round += 1) {
      const asked = grants
      await db.run(() =>
        lock.withLease('a', async () => {
          waited.push(grants - asked)
          grants += 1
          await new Promise(resolve => setTimeout(resolve, seed.integer(0, 5)))
        }),
      )
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, n) => caller(n)))
  expect(waited).toHaveLength(callers * rounds)
  // Each of the others once before, and once more where it came first though it asked later: a place is had by a statement.
  expect(Math.max(...waited), `seed ${seed.value}`).toBeLessThanOrEqual(2 * (callers - 1))
})

test('a waiter that has died holds the others up for its place only', async () => {
  const [one, two] = [await process(), await process()]
  const lease = await one.lock.tryAcquire('a')
  const granted = gate()
  const wait = two.db.run(() => two.lock.withLease('a', async () => granted.open()))
  await until(async () => (await one.lock.inspect('a'))?.waiting === 1, { deadlineMs: 10_000, message: 'a place' })
  // As of a process that was killed: nobody asks for it again.
  const dead = { id: 'dead', until: new Date(Date.now() + 2000) }
  await stage
    .plain('strata.locks')
    .updateOne({ _id: 'a' }, { $push: { queue: { $each: [dead], $position: 0 } } } as never)
  await lease?.release()
  await granted.wait()
  await wait
})
