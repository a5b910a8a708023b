import type { Benchmark } from './benchmark.ts'
import { calls } from './calls.ts'
import { context } from './context.ts'

/** All benchmarks, in the order in which they are listed. */
export const benchmarks: readonly Benchmark[] = [context, calls]

export const findBenchmark = (name: string): Benchmark | undefined => benchmarks.find(each => each.name === name)
