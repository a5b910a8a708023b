import { metrics } from '@opentelemetry/api'

const meter = metrics.getMeter('@strata/consistency')

/** Deliveries that a handler with an inbox has ended without an error, by scope and `result`: `handled`, `duplicate` or `in-progress`. */
export const deliveries = meter.createCounter('strata.inbox.deliveries', {
  description: 'Deliveries of messages, by what the inbox made of them',
})
