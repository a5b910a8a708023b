import { createNoopMeter, metrics, type ObservableResult } from '@opentelemetry/api'
import type { Activity, DatasourcePool } from '@strata/db-context'

// Only the API: an instrument belongs to the provider that is registered when this module loads.
const meter = metrics.getMeter('@strata/mongo')

/** False without an SDK in the process: then nothing is timed either. */
export const isMeasured = meter !== createNoopMeter()

const operationDuration = meter.createHistogram('strata.mongo.operation.duration', {
  description: 'One send of an operation to the server and its answer',
  unit: 's',
})

const waitDuration = meter.createHistogram('strata.mongo.wait.duration', {
  description: 'From the call of an operation to its connection',
  unit: 's',
})

const slices = meter.createCounter('strata.mongo.slices', {
  description: 'Sends of a write that ended because other work held its document',
})

const connections = meter.createObservableGauge('strata.mongo.connections', {
  description: 'Connections of the driver, in use and waited for',
})

export interface Measured {
  readonly collection: string
  readonly method: string
}

/** Times one send, by datasource, level, collection, operation and `ok` or the error's code. */
export function measured<T>(of: Measured, activity: Activity, send: () => Promise<T>): Promise<T> {
  return isMeasured ? timed(of, activity, send) : send()
}

async function timed<T>(of: Measured, activity: Activity, send: () => Promise<T>): Promise<T> {
  const { datasource, level, since } = activity
  const labels = { datasource, level, collection: of.collection, operation: of.method }
  const begun = performance.now()
  waitDuration.record((begun - since) / 1000, labels)
  let result = 'ok'
  try {
    return await send()
  } catch (error) {
    result = labelOf(error)
    throw error
  } finally {
    operationDuration.record((performance.now() - begun) / 1000, { ...labels, result })
  }
}

/** Counts a send that the server gave up on: `again`, or `lock` for the last. */
export function countSlice(of: Measured, activity: Activity, result: 'again' | 'lock'): void {
  const { datasource, level } = activity
  slices.add(1, { datasource, level, collection: of.collection, operation: of.method, result })
}

/** Reports a pool's connections until the returned function is called. */
export function observePool(
  pool: DatasourcePool,
  labels: { datasource: string; level: number | 'service' },
): () => void {
  const read = (result: ObservableResult) => {
    const { inUse, waiting } = pool.usage()
    result.observe(inUse, { ...labels, state: 'in_use' })
    result.observe(waiting, { ...labels, state: 'waiting' })
  }
  connections.addCallback(read)
  return () => connections.removeCallback(read)
}

function labelOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown'
  if ('code' in error) return String(error.code)
  return 'name' in error ? String(error.name) : 'unknown'
}
