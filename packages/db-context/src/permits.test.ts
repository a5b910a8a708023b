import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deadlineIn, never } from './deadline.ts'
import { type Permit, Permits } from './permits.ts'

const request = (deadline = never, signal?: AbortSignal) => ({
  deadline,
  signal,
  refuse: (why: string) => new Error(why),
})

describe('permits', () => {
  it('are granted first come, first served', async () => {
    const permits = new Permits(1)
    const order: number[] = []
    const first = await permits.acquire(request())
    const others = [1, 2, 3].map(async index => {
      const permit = await permits.acquire(request())
      order.push(index)
      permit.release()
    })
    first.release()
    await Promise.all(others)
    expect(order).toEqual([1, 2, 3])
    expect([permits.inUse, permits.waiting]).toEqual([0, 0])
  })

  it('a newcomer does not overtake a waiter', async () => {
    const permits = new Permits(1)
    const held = permits.tryAcquire()
    const waiting = permits.acquire(request())
    held?.release()
    expect(permits.tryAcquire()).toBeUndefined()
    ;(await waiting).release()
    expect(permits.tryAcquire()).toBeDefined()
  })

  it('a wait ends at its deadline, and by its signal', async () => {
    const permits = new Permits(1)
    const held = permits.tryAcquire()
    const abort = new AbortController()
    const aborted = expect(permits.acquire(request(never, abort.signal))).rejects.toThrow('aborted')
    await expect(permits.acquire(request(deadlineIn(5)))).rejects.toThrow('timeout')
    abort.abort()
    await aborted
    expect(permits.waiting).toBe(0)
    held?.release()
    expect(permits.inUse).toBe(0)
  })

  it('releasing twice gives one permit back', () => {
    const permits = new Permits(2)
    const [one] = [permits.tryAcquire(), permits.tryAcquire()]
    one?.release()
    one?.release()
    expect(permits.inUse).toBe(1)
  })

  it('never exceed their number and never get lost, whatever the order of grants, expiries and releases', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('acquire' as const), abort: fc.boolean() }),
      fc.record({ kind: fc.constant('release' as const), at: fc.nat() }),
    )
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(step, { maxLength: 40 }),
      async (max, steps) => {
        const permits = new Permits(max)
        const held: Permit[] = []
        const waits: Promise<unknown>[] = []
        for (const each of steps) {
          if (each.kind === 'release') held.splice(each.at % Math.max(1, held.length), 1)[0]?.release()
          else {
            const abort = new AbortController()
            waits.push(
              permits.acquire(request(never, abort.signal)).then(
                permit => held.push(permit),
                () => {},
              ),
            )
            if (each.abort) abort.abort()
          }
          await Promise.resolve()
          expect(permits.inUse).toBeLessThanOrEqual(max)
          expect(held.length).toBeLessThanOrEqual(max)
        }
        await drain(held, waits)
        expect([permits.inUse, permits.waiting]).toEqual([0, 0])
      },
    )
    await fc.assert(property, { numRuns: 300 })
  })
})

async function drain(held: Permit[], waits: readonly Promise<unknown>[]): Promise<void> {
  let open = true
  void Promise.all(waits).then(() => {
    open = false
  })
  while (open || held.length > 0) {
    held.shift()?.release()
    await new Promise(resolve => setImmediate(resolve))
  }
}
