import { metrics, type ObservableResult } from '@opentelemetry/api'
import type { Row } from './row.ts'
import type { Backlog } from './store.ts'

// Only the API: an instrument belongs to the provider that is registered when this module loads, or does nothing.
const meter = metrics.getMeter('@strata/consistency')

const publishedCount = meter.createCounter('strata.outbox.published', {
  description: 'Rows of the outbox that this process has published',
})

/** By job and the error's code. */
export const setAsideCount = meter.createCounter('strata.outbox.set_aside', {
  description: 'Rows of the outbox that this process has set aside',
})

const depth = meter.createObservableGauge('strata.outbox.depth', {
  description: 'Committed rows that are not published, told by the process that relays',
})

const lag = meter.createObservableGauge('strata.outbox.lag', {
  description: 'Age of the oldest row that is not published, told by the process that relays',
  unit: 's',
})

const aside = meter.createObservableGauge('strata.outbox.aside', {
  description: 'Rows that are set aside, told by the process that relays',
})

export function observePublished(rows: readonly Row[]): void {
  for (const { job } of rows) publishedCount.add(1, { job })
}

/** Reports what `read` last knew until the returned function is called; nothing while another process relays. */
export function observeBacklog(read: () => Backlog | undefined): () => void {
  const observe = (value: (backlog: Backlog) => number) => (result: ObservableResult) => {
    const backlog = read()
    if (backlog) result.observe(value(backlog))
  }
  const callbacks = [
    [depth, observe(backlog => backlog.depth)],
    [lag, observe(backlog => backlog.lagSeconds)],
    [aside, observe(backlog => backlog.setAside)],
  ] as const
  for (const [gauge, callback] of callbacks) gauge.addCallback(callback)
  return () => {
    for (const [gauge, callback] of callbacks) gauge.removeCallback(callback)
  }
}
