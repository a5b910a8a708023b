import { metrics } from '@opentelemetry/api'

const meter = metrics.getMeter('@strata/consistency')

/** Leases that were asked for, by `result`: `granted`, `busy` for one that did not wait, `timeout` for one that did. */
export const acquisitions = meter.createCounter('strata.lock.acquisitions', {
  description: 'Leases that were asked for, by what became of them',
})

/** Leases that ended before the work under them, by `reason`. */
export const losses = meter.createCounter('strata.lock.lost', {
  description: 'Leases that ended before the work under them',
})

export const waits = meter.createHistogram('strata.lock.wait', {
  description: 'How long a lease that was granted had been waited for',
  unit: 's',
})
