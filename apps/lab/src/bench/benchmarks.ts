import type { Benchmark } from './benchmark.ts'
import { calls } from './calls.ts'
import { contention } from './contention.ts'
import { context } from './context.ts'
import { inbox } from './inbox.ts'
import { link } from './link.ts'
import { lock } from './lock.ts'
import { outbox } from './outbox.ts'
import { push } from './push.ts'
import { transaction } from './transaction.ts'
import { transfer } from './transfer.ts'

/** All benchmarks, in the order in which they are listed. */
export const benchmarks: readonly Benchmark[] = [
  context,
  transaction,
  contention,
  calls,
  push,
  link,
  outbox,
  inbox,
  transfer,
  lock,
]

export const findBenchmark = (name: string): Benchmark | undefined => benchmarks.find(each => each.name === name)
