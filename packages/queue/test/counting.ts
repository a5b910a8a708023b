import { type Attributes, createNoopMeter, metrics } from '@opentelemetry/api'

const counts = new Map<unknown, number>()

// To be imported before the queue: an instrument belongs to the provider that is registered when its module loads.
const createCounter = (name: string) => ({
  add: (value: number, attributes: Attributes = {}) => {
    const { code } = attributes
    if (name === 'strata.queue.refusals') counts.set(code, (counts.get(code) ?? 0) + value)
  },
})
metrics.setGlobalMeterProvider({ getMeter: () => Object.assign(createNoopMeter(), { createCounter }) })

/** How many refusals of a code the metric tells since the test file was loaded. */
export const counted = (code: string): number => counts.get(code) ?? 0
