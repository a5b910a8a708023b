import { metrics } from '@opentelemetry/api'

const meter = metrics.getMeter('@strata/consistency')

/** Requests with a key, by `result`: `answered`, `replayed` or `in-progress`. */
export const keyedRequests = meter.createCounter('strata.idempotency.requests', {
  description: 'Requests with an idempotency key, by what became of them',
})
