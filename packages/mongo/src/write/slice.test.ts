import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterSlice, nextSlice, notBegun, type Slice, type SliceBounds, sliceMsFirst } from './slice.ts'

const noDeadline = Number.POSITIVE_INFINITY

/** The slices of a write that is blocked for ever. */
function slicesOf(bounds: SliceBounds, deadlineMs = noDeadline): Slice[] {
  const slices: Slice[] = []
  let progress = notBegun
  for (;;) {
    const slice = nextSlice(progress, bounds, deadlineMs - progress.spentMs)
    slices.push(slice)
    if (slice.onExpiry !== 'again') return slices
    progress = afterSlice(progress, slice)
  }
}

const bounds = fc.record({
  lockWaitMs: fc.integer({ min: 1, max: 60_000 }),
  operationMs: fc.integer({ min: 1, max: 60_000 }),
  userMs: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
})
const deadlines = fc.oneof(fc.integer({ min: 1, max: 60_000 }), fc.constant(noDeadline))

describe('slices of a blocked write', () => {
  it('are 200, 400 and the rest under the default of 2,000 ms', () => {
    const slices = slicesOf({ lockWaitMs: 2000, operationMs: 30_000, userMs: undefined })
    expect(slices).toEqual([
      { ms: 200, onExpiry: 'again' },
      { ms: 400, onExpiry: 'again' },
      { ms: 1400, onExpiry: 'lock' },
    ])
  })

  it('spend exactly the tightest bound, and end with its name', () => {
    fc.assert(
      fc.property(bounds, deadlines, (given, deadlineMs) => {
        const slices = slicesOf(given, deadlineMs)
        const spentMs = slices.reduce((sum, { ms }) => sum + ms, 0)
        const { lockWaitMs: lock, operationMs: operation, userMs: user = noDeadline } = given
        const limits = { lock, operation, user, deadline: deadlineMs, again: Number.NaN }
        expect(spentMs).toBe(Math.min(lock, operation, user, deadlineMs))
        expect(limits[slices.at(-1)?.onExpiry ?? 'again']).toBe(spentMs)
      }),
    )
  })

  it('double, so that a slow write that nothing blocks gets through, and the last is not the shorter', () => {
    fc.assert(
      fc.property(bounds, deadlines, (given, deadlineMs) => {
        const sizes = slicesOf(given, deadlineMs).map(({ ms }) => ms)
        const last = sizes.pop() ?? 0
        for (const [index, ms] of sizes.entries()) expect(ms).toBe(sliceMsFirst * 2 ** index)
        expect(last).toBeGreaterThanOrEqual(sizes.at(-1) ?? 1)
      }),
    )
  })

  it('never keep the connection longer than half of the wait, or the first two slices', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60_000 }), lockWaitMs => {
        const slices = slicesOf({ lockWaitMs, operationMs: 120_000, userMs: undefined })
        for (const { ms } of slices) expect(ms).toBeLessThanOrEqual(Math.max(2 * sliceMsFirst, lockWaitMs * 0.8))
      }),
    )
  })
})
