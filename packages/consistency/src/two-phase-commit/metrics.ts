import { metrics, type ObservableResult } from '@opentelemetry/api'
import type { TransactionRecord } from './record.ts'

const meter = metrics.getMeter('@strata/consistency')

const ended = meter.createCounter('strata.two_phase.ended', {
  description: 'Transactions that this process has brought to their end, by definition, state and cause',
})

const inDoubt = meter.createObservableGauge('strata.two_phase.in_doubt', {
  description: 'Transactions that have not ended, by state, told by processes that recover',
})

const oldest = meter.createObservableGauge('strata.two_phase.oldest', {
  description: 'Age of the oldest transaction that has not ended, by state, told by processes that recover',
  unit: 's',
})

const stuck = meter.createObservableGauge('strata.two_phase.stuck', {
  description: 'Transactions that a person has to look at, told by processes that recover',
})

export function observeEnd({ definition, state, cause }: TransactionRecord): void {
  ended.add(1, { definition, state, ...(cause && { cause: cause.code }) })
}

/** The transactions of one state that have not ended. */
export interface InDoubt {
  readonly state: string
  readonly count: number
  readonly oldestSeconds: number
  readonly stuck: number
}

/** Reports what `read` last knew until the returned function is called. */
export function observeInDoubt(read: () => readonly InDoubt[] | undefined): () => void {
  const observe = (value: (of: InDoubt) => number) => (result: ObservableResult) => {
    for (const each of read() ?? []) result.observe(value(each), { state: each.state })
  }
  const callbacks = [
    [inDoubt, observe(({ count }) => count)],
    [oldest, observe(({ oldestSeconds }) => oldestSeconds)],
    [stuck, observe(each => each.stuck)],
  ] as const
  for (const [gauge, callback] of callbacks) gauge.addCallback(callback)
  return () => {
    for (const [gauge, callback] of callbacks) gauge.removeCallback(callback)
  }
}
