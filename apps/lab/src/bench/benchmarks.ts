import type { Benchmark } from './benchmark.ts'
import { context } from './context.ts'

/** All benchmarks, in the order in which they are listed. */
export const benchmarks: readonly Benchmark[] = [context]

export const findBenchmark = (name: string): Benchmark | undefined => benchmarks.find(each => each.name === name)
