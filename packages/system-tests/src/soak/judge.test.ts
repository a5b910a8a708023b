import { describe, expect, it } from 'vitest'
import { judgeCalls, judgeTrends } from './judge.ts'
import type { LoadTotals } from './load.ts'
import type { Sample } from './sample.ts'

const span = { warmUpMs: 1000, spanMs: 10_000 }

/** A sample each quarter of a second, the warm-up included; `value` gets how far into the span it is, from 0 to 1. */
function samples(name: string, value: (share: number) => number): Sample[] {
  return Array.from({ length: 45 }, (_, index) => {
    const atMs = index * 250
    return { atMs, values: { [name]: value((atMs - span.warmUpMs) / span.spanMs) } }
  })
}

/** From the middle of the first fifth to that of the last are four fifths of the span. */
const growing = (from: number, by: number) => (share: number) => from * (1 + (by * (share - 0.1)) / 0.8)
const verdict = (name: string, value: (share: number) => number) =>
  judgeTrends(samples(name, value), span).map(({ ok }) => ok)

describe('the judge of a soak', () => {
  it.each([
    ['heap that grows by 6 %', 'caller.heapBytes', growing(30e6, 0.06), false],
    ['heap that grows by 4 %', 'caller.heapBytes', growing(30e6, 0.04), true],
    ['heap that shrinks', 'caller.heapBytes', growing(30e6, -0.3), true],
    ['one socket more a minute', 'worker 1.handles', growing(40, 0.25), false],
    ['sockets that stay', 'worker 1.handles', () => 40, true],
    ['a timer left behind by each call', 'worker 1.timers', growing(300, 10), false],
    ['timers that come and go', 'worker 1.timers', (share: number) => 60 + 15 * Math.sin(share * 100), true],
    ['a file descriptor more each minute', 'caller.fds', growing(40, 0.25), false],
    ['a key left behind by one call in ten', 'redis.keys', growing(30_000, 0.6), false],
    ['kept records that are full', 'redis.keys', (share: number) => 30_000 + 15 * Math.sin(share * 100), true],
    ['a stream that nobody trims', 'redis.memoryBytes', growing(60e6, 0.3), false],
    ['streams that fill up to their bound', 'redis.memoryBytes', growing(3e6, 1), true],
    ['a connection more each minute', 'mongo.connections', growing(40, 0.25), false],
    ['a resident size that grows', 'caller.rssBytes', growing(90e6, 0.5), true],
  ])('%s', (_what, name, value, ok) => {
    expect(verdict(name, value)).toEqual([ok])
  })

  it('does not mistake what the warm-up fills for growth', () => {
    expect(verdict('redis.keys', share => (share < 0 ? 10 : 30_000))).toEqual([true])
  })

  it('is not misled by one outlier in either fifth', () => {
    const spikes = (share: number) => (share === 0.05 || share === 0.95 ? 90e6 : 30e6)
    expect(verdict('caller.heapBytes', spikes)).toEqual([true])
  })

  it('refuses to judge without evidence', () => {
    expect(() => judgeTrends(samples('caller.heapBytes', () => 1).slice(0, 20), span)).toThrow(/0 in the last/)
    const holes = (share: number) => (share > 0.9 ? Number.NaN : 1)
    expect(() => judgeTrends(samples('caller.heapBytes', holes), span)).toThrow(/caller.heapBytes is NaN/)
  })
})

describe('the books of a soak', () => {
  const times = { calls: 0, p50: 0, p99: 0, max: 0 }
  const good: LoadTotals = {
    ...{
      atMs: 11_000,
      arrived: 3000,
      ended: 3000,
      failed: 0,
      putOff: 0,
      arrivedInSpan: 3000,
      endedInSpan: 2990,
      failures: {},
    },
    ...{ first: times, last: times },
  }
  const wrong = (totals: Partial<LoadTotals>, applied = 3000) =>
    judgeCalls({ ...good, ...totals }, { rateShareMin: 0.95, spanMs: 10_000, applied })
      .filter(({ ok }) => !ok)
      .map(({ what }) => what)

  it('balance', () => {
    expect(wrong({})).toEqual([])
  })

  it.each([
    ['a call that never ended', { ended: 2999 }, 3000, 'calls that ended, of those sent'],
    ['a call that failed', { failed: 1, failures: { CALL_TIMEOUT: 1 } }, 3000, 'calls that failed'],
    ['an effect that is missing', {}, 2999, 'effects in the database, of those sent'],
    ['an effect that came twice', {}, 3001, 'effects in the database, of those sent'],
    ['half the rate', { endedInSpan: 1500 }, 3000, 'root calls that ended a second'],
  ])('show %s', (_what, totals, applied, what) => {
    expect(wrong(totals, applied)).toEqual([what])
  })

  it('show calls that were put off as a lower rate', () => {
    expect(wrong({ ended: 1500, putOff: 1500, endedInSpan: 1490 }, 1500)).toEqual(['root calls that ended a second'])
  })
})
