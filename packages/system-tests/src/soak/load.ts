import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { seeded } from '@strata/testkit'
import { LoadClock } from './load-clock.ts'
import type { SoakSettings } from './settings.ts'

/** How long calls took from the time at which they were to arrive, in milliseconds. */
export interface Times {
  readonly calls: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Counts since the load began. */
export interface Progress {
  /** On the load's clock. */
  readonly atMs: number
  /** Root calls that arrived, `putOff` included. */
  readonly arrived: number
  readonly ended: number
  readonly failed: number
  /** Arrivals that were not sent, because too many calls were waiting. */
  readonly putOff: number
}

/** What a load came to. */
export interface LoadTotals extends Progress {
  /** Of the span that is measured, without the warm-up. */
  readonly arrivedInSpan: number
  readonly endedInSpan: number
  /** How many calls failed, by code. */
  readonly failures: Readonly<Record<string, number>>
  /** The first of them. */
  readonly firstFailure?: string
  readonly first: Times
  readonly last: Times
}

/** Well below what a process may have waiting: a machine that cannot keep up shows as a lower rate, not as errors. */
const waitingMax = 1000

/** At the start this many calls at once: lanes open, and as much code as can be is compiled before the span begins. */
const burst = 200

/** The part of the span at its start that is held against the part at its end. */
export const edge = 0.2

/** Sends root call `n` and resolves when it has ended. */
type Root = (n: number, isInBurst: boolean) => Promise<void>

/**
 * An open loop: calls arrive at random at the given rate, whatever became of earlier ones, and their time counts from when
 * they were to arrive. A loop that waited for its calls would slow down with them and hide it.
 */
export class Load {
  readonly #settings: SoakSettings
  readonly #root: Root
  readonly #clock = new LoadClock()
  readonly #first = createHistogram()
  readonly #last = createHistogram()
  readonly #failures: Record<string, number> = {}
  #firstFailure: string | undefined
  #arrived = 0
  #waiting = 0
  #ended = 0
  #arrivedInSpan = 0
  #endedInSpan = 0
  #failed = 0
  #putOff = 0
  #idle = Promise.withResolvers<void>()

  constructor(settings: SoakSettings, root: Root) {
    this.#settings = settings
    this.#root = root
  }

  get progress(): Progress {
    return {
      atMs: this.#clock.now(),
      arrived: this.#arrived,
      ended: this.#ended,
      failed: this.#failed,
      putOff: this.#putOff,
    }
  }

  /** Resolves when the last call has ended; calls have deadlines, so it does. */
  async run(): Promise<LoadTotals> {
    const { rate, warmUpMs, spanMs, seed } = this.#settings
    const random = seeded(seed)
    this.#clock.start()
    for (let call = 0; call < burst; call += 1) this.#send(0, true)
    for (let at = 0; at < warmUpMs + spanMs; ) {
      // Gaps of a Poisson process: requests of many people, each of whom knows nothing of the others.
      at -= (Math.log(1 - random.next()) * 1000) / rate
      await this.#clock.reach(at)
      this.#send(at, false)
    }
    await this.#settled()
    return {
      ...this.progress,
      arrivedInSpan: this.#arrivedInSpan,
      endedInSpan: this.#endedInSpan,
      failures: this.#failures,
      ...(this.#firstFailure === undefined ? {} : { firstFailure: this.#firstFailure }),
      first: times(this.#first),
      last: times(this.#last),
    }
  }

  /** Lets no call arrive and resolves when none waits, so that what a process then holds is what calls have left behind. */
  async rest(): Promise<void> {
    this.#clock.stop()
    await this.#settled()
  }

  /** The clock went on from where it stood: nobody was to arrive meanwhile. */
  resume(): void {
    this.#clock.start()
  }

  #send(at: number, isInBurst: boolean): void {
    this.#arrived += 1
    if (isIn(this.#shareOf(at), 0, 1)) this.#arrivedInSpan += 1
    if (this.#waiting >= waitingMax) {
      this.#putOff += 1
      return
    }
    if (this.#waiting === 0) this.#idle = Promise.withResolvers<void>()
    this.#waiting += 1
    const [begun, lateMs] = [performance.now(), this.#clock.now() - at]
    this.#root(this.#arrived, isInBurst)
      .catch((error: unknown) => this.#count(error))
      .finally(() => this.#end(at, performance.now() - begun + lateMs))
      .catch(() => {})
  }

  #end(at: number, tookMs: number): void {
    const arrived = this.#shareOf(at)
    if (isIn(this.#shareOf(this.#clock.now()), 0, 1)) this.#endedInSpan += 1
    if (isIn(arrived, 0, edge)) record(this.#first, tookMs)
    if (isIn(arrived, 1 - edge, 1)) record(this.#last, tookMs)
    this.#ended += 1
    this.#waiting -= 1
    if (this.#waiting === 0) this.#idle.resolve()
  }

  /** How far into the span a time is. */
  #shareOf(at: number): number {
    const { warmUpMs, spanMs } = this.#settings
    return (at - warmUpMs) / spanMs
  }

  #count(error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'ERROR'
    this.#failed += 1
    this.#failures[code] = (this.#failures[code] ?? 0) + 1
    this.#firstFailure ??= error instanceof Error ? (error.stack ?? error.message) : String(error)
  }

  async #settled(): Promise<void> {
    while (this.#waiting > 0) await this.#idle.promise
  }
}

const isIn = (share: number, from: number, to: number) => share >= from && share < to

/** In microseconds: a histogram takes whole numbers from 1. Unlike a list of times it does not grow with the calls. */
const record = (histogram: RecordableHistogram, ms: number): void =>
  histogram.record(Math.max(1, Math.round(ms * 1000)))

const times = (histogram: RecordableHistogram): Times => ({
  calls: histogram.count,
  p50: histogram.percentile(50) / 1000,
  p99: histogram.percentile(99) / 1000,
  max: histogram.count === 0 ? 0 : histogram.max / 1000,
})
