import { edge, type LoadTotals } from './load.ts'
import { median } from './median.ts'
import type { Sample } from './sample.ts'
import type { SoakSettings } from './settings.ts'

/** What a quantity may grow by from the first to the last fifth: a share of the first, and a number on top. */
export interface Limit {
  readonly share: number
  readonly slack: number
}

/** How a value moved: medians of its first and its last fifth. */
export interface Trend {
  readonly name: string
  readonly first: number
  readonly last: number
  /** Absent: shown, not judged. */
  readonly limit?: Limit
  readonly ok: boolean
}

/** Something else that must hold. */
export interface Finding {
  readonly what: string
  readonly got: string
  readonly expected: string
  readonly ok: boolean
}

/** Timers of drivers, and Redis keys with a life of seconds, come and go also while no call waits. */
const comeAndGo = 20

/** BullMQ keeps 10,000 events a lane, which a low rate has not reached when the warm-up is over. */
const streamsFullBytes = 8 * 2 ** 20

/**
 * By the quantity, the end of a value's name. The resident size is not among them: the allocator keeps what was
 * needed once.
 */
const limits: Readonly<Record<string, Limit>> = {
  heapBytes: { share: 0.05, slack: 0 },
  handles: { share: 0, slack: 2 },
  timers: { share: 0, slack: comeAndGo },
  fds: { share: 0, slack: 2 },
  keys: { share: 0, slack: comeAndGo },
  memoryBytes: { share: 0.05, slack: streamsFullBytes },
  clients: { share: 0, slack: 2 },
  connections: { share: 0, slack: 2 },
}

/** Fewer in a fifth say nothing: one outlier would be the median. */
const samplesMin = 3

/**
 * Compares the first fifth of the span with the last.
 * @throws Error for fewer than three samples in either, or a value that some of them lack: a judge without evidence
 * would find nothing.
 */
export function judgeTrends(
  samples: readonly Sample[],
  { warmUpMs, spanMs }: Pick<SoakSettings, 'warmUpMs' | 'spanMs'>,
): Trend[] {
  const between = (from: number, to: number) =>
    samples.filter(({ atMs }) => atMs >= warmUpMs + from * spanMs && atMs <= warmUpMs + to * spanMs)
  const first = between(0, edge)
  const last = between(1 - edge, 1)
  if (Math.min(first.length, last.length) < samplesMin) {
    throw new Error(`${first.length} samples in the first fifth and ${last.length} in the last, needed ${samplesMin}`)
  }
  const names = new Set(samples.flatMap(({ values }) => Object.keys(values)))
  return [...names].map(name => trend(name, valuesOf(name, first), valuesOf(name, last)))
}

function valuesOf(name: string, samples: readonly Sample[]): number[] {
  return samples.map(({ values, atMs }) => {
    const value = values[name]
    if (value === undefined || !Number.isFinite(value)) throw new Error(`${name} is ${value} after ${atMs} ms`)
    return value
  })
}

function trend(name: string, before: readonly number[], after: readonly number[]): Trend {
  const [first, last] = [median(before), median(after)]
  const limit = limits[name.slice(name.lastIndexOf('.') + 1)]
  if (limit === undefined) return { name, first, last, ok: true }
  return { name, first, last, limit, ok: last - first <= first * limit.share + limit.slack }
}

/** What a soak was asked for, and what the database holds after it. */
export interface Books {
  readonly rateShareMin: number
  readonly spanMs: number
  /** Effects of the deepest jobs. */
  readonly applied: number
}

/** Every call has its result and its effect, once, and the machine kept up with those that arrived. */
export function judgeCalls(totals: LoadTotals, { rateShareMin, spanMs, applied }: Books): Finding[] {
  const sent = totals.arrived - totals.putOff
  const perSecond = (calls: number) => (calls / (spanMs / 1000)).toFixed(1)
  const failures = Object.entries(totals.failures).map(([code, count]) => `${count} ${code}`)
  return [
    finding('calls that ended, of those sent', totals.ended, sent),
    { what: 'calls that failed', got: failures.join(', ') || '0', expected: '0', ok: totals.failed === 0 },
    finding('effects in the database, of those sent', applied, sent),
    {
      what: 'root calls that ended a second',
      got: perSecond(totals.endedInSpan),
      expected: `${rateShareMin * 100} % of the ${perSecond(totals.arrivedInSpan)} that arrived`,
      ok: totals.endedInSpan >= totals.arrivedInSpan * rateShareMin,
    },
  ]
}

function finding(what: string, got: number, expected: number): Finding {
  return { what, got: String(got), expected: String(expected), ok: got === expected }
}
