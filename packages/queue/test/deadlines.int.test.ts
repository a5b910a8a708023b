import type { DbContext } from '@strata/db-context'
import { gate, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const nest = defineJob({ name: 'nest', input: z.object({ depth: z.number() }), output: z.array(z.number()) })
const work = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()

/** What a call made here would get. */
const leftMs = (db: DbContext) => db.propagator.call('look').remainingMs

/** The margin of a call with more than 2.5 s left, less what two processes may know Redis's clock apart. */
const marginMs = 250 - 40

describe('down a chain', () => {
  test('each call has a margin less than the one that awaits it has left', async () => {
    const db = stage.db({ levels: { max: 5 } })
    const queues = stage.queues(db)
    const worker = stage.worker(db)
    const left: number[] = []
    worker.handle(nest, async ({ depth }) => {
      left.push(leftMs(db))
      return depth > 1 ? await queues.pushAsync(nest, { depth: depth - 1 }, { deadlineMs: 60_000 }) : []
    })
    await worker.start()
    await db.run(
      async () => {
        left.push(leftMs(db))
        await queues.pushAsync(nest, { depth: 4 })
      },
      { deadlineMs: 20_000 },
    )
    expect(left).toHaveLength(5)
    for (const [at, ms] of left.entries()) {
      const awaiting = left[at - 1]
      if (awaiting !== undefined) expect(awaiting - ms).toBeGreaterThan(marginMs)
    }
  })

  test('the margin is what a caller has to act on a call that timed out', async () => {
    const db = stage.db()
    const queues = stage.queues(db)
    const worker = stage.worker(db)
    worker.handle(nest, async () => {
      const calling = queues.pushAsync(work, { n: 1 })
      return [await calling.catch((error: { code?: string }) => (error.code === 'CALL_TIMEOUT' ? -1 : -2))]
    })
    worker.handle(work, async ({ n }, { signal }) => {
      await new Promise(resolve => signal.addEventListener('abort', resolve))
      return n
    })
    await worker.start()
    expect(await db.run(() => queues.pushAsync(nest, { depth: 1 }, { deadlineMs: 3000 }))).toEqual([-1])
  })
})

describe('level, chain and deadline survive', () => {
  interface Seen {
    readonly level: number
    readonly names: string[]
    readonly leftMs: number
  }
  const look = (db: DbContext): Seen => {
    const { level, chain } = db.current
    return { level, names: chain.map(({ name }) => name), leftMs: leftMs(db) }
  }
  const expectSame = ([one, two]: Seen[]) => {
    expect(two).toMatchObject({ level: one?.level, names: one?.names })
    expect(two?.leftMs).toBeLessThan(one?.leftMs ?? 0)
    expect(two?.leftMs).toBeGreaterThan(0)
  }

  test('a failed attempt and its back-off', async () => {
    const db = stage.db()
    const queues = stage.queues(db)
    const worker = stage.worker(db)
    const seen: Seen[] = []
    worker.handle(nest, async () => [await queues.pushAsync(work, { n: 1 }, { attempts: 2, backoff: 50 })])
    worker.handle(work, async ({ n }) => {
      seen.push(look(db))
      if (seen.length === 1) throw new Error('once')
      return n
    })
    await worker.start()
    expect(await db.run(() => queues.pushAsync(nest, { depth: 1 }), { name: 'root' })).toEqual([1])
    expectSame(seen)
    expect(seen[0]).toMatchObject({ level: 2, names: ['root', 'nest', 'work'] })
  })

  test('a stall', async () => {
    const db = stage.db()
    const queues = stage.queues(db)
    const stalled = { lockDurationMs: 400, stalledIntervalMs: 400 }
    const seen: Seen[] = []
    const held = gate()
    const start = async (end: () => Promise<number>) => {
      const own = stage.db()
      const worker = stage.worker(own, { stalled, lanes: { slots: 1 } })
      worker.handle(work, async () => {
        seen.push(look(own))
        return await end()
      })
      await worker.start()
    }
    await start(async () => {
      await held.wait()
      return -1
    })
    const calling = db.run(() => queues.pushAsync(work, { n: 1 }, { dbInfo: { level: 3 } }), { name: 'root' })
    await until(() => seen.length === 1, { deadlineMs: 5000, message: 'the job to begin' })
    const [active] = await stage.bullmq('work~3').getActive()
    const redis = new Redis(stage.redis)
    // As if the first worker's process were gone: its lock is, and it cannot renew it.
    await redis.set(`${stage.prefix}:work~3:${active?.id}:lock`, 'another', 'PX', 1)
    await redis.quit()
    await start(async () => 2)
    expect(await calling).toBe(2)
    expectSame(seen)
    expect(seen[0]).toMatchObject({ level: 3, names: ['root', 'work'] })
    held.open()
  })

  test('the delay of a push, whose own time begins with its run', async () => {
    const db = stage.db()
    const queues = stage.queues(db)
    const worker = stage.worker(db)
    const timed = defineJob({ name: 'work', input: work.input, output: work.output, deadlineMs: 5000 })
    const seen: Seen[] = []
    worker.handle(timed, async ({ n }) => {
      seen.push(look(db))
      if (seen.length === 1) throw new Error('once')
      return n
    })
    await worker.start()
    const options = { delay: 300, attempts: 2, dbInfo: { level: 2 } }
    const pushed = await db.run(() => queues.push(timed, { n: 3 }, options), { name: 'root' })
    expect(await pushed.result()).toBe(3)
    for (const { level, names, leftMs: ms } of seen) {
      expect([level, names]).toEqual([2, ['work']])
      expect(ms).toBeGreaterThan(4000)
    }
  })
})
