import type { Servers } from '@strata/testkit'

/** How a bench run is made. */
export interface BenchOptions {
  readonly rounds: number
  /** For each row and round, ours and the reference together. */
  readonly seconds: number
  /** Numbers of processes to measure with, for benchmarks that have several. */
  readonly processes: readonly number[]
}

/** One named measurement: rows, each of them ours beside a reference in the same run on the same servers. */
export interface Benchmark {
  readonly name: string
  /** In one sentence, for a person. */
  readonly what: string
  /** Opens what it needs; disposing of it takes it down. */
  open(servers: Servers, options: BenchOptions): Promise<OpenBenchmark>
}

export interface OpenBenchmark extends AsyncDisposable {
  readonly contests: readonly Contest[]
}

/** What one row compares. */
export interface Contest {
  /** Stable, `context.read.c1`. */
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  /** The ratio to reach; absent where it is only reported. */
  readonly goal?: number
  /** How long each side works at a stretch; 10 ms by default, more where several processes have to begin together. */
  readonly sliceMs?: number
  readonly ours: Contestant
  readonly reference: Contestant
}

/** Works for about this long and returns what it measured, in the contest's unit. */
export type Contestant = (forMs: number) => Promise<number>

/** One row of a finished run. */
export interface Row {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  /** Medians over the rounds. */
  readonly ours: number
  readonly reference: number
  /** ours / reference: the median of the rounds, and their extremes. */
  readonly ratio: number
  readonly ratioMin: number
  readonly ratioMax: number
  /** Null where the ratio is only reported. */
  readonly goal: number | null
  readonly met: boolean | null
}
