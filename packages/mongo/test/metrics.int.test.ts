import { metrics } from '@opentelemetry/api'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import type { Document } from 'mongodb'
import { afterAll, expect, inject, it } from 'vitest'

class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

const reader = new Reader()
const provider = new MeterProvider({ readers: [reader] })
metrics.setGlobalMeterProvider(provider)
// After the provider: an instrument belongs to the provider that is registered when its module loads.
const { startHarness } = await import('./harness.ts')
afterAll(() => provider.shutdown())

interface Counter extends Document {
  _id: number
}

it('measures operations, blocked writes and connections', async () => {
  await using harness = await startHarness({
    url: inject('mongoUrl'),
    pool: { max: 3 },
    context: { lockWaitMs: 300 },
  })
  const { db } = harness
  const counters = harness.store.collection<Counter>('counters')
  await db.run(async () => {
    await counters.insertOne({ _id: 1 })
    await db.transaction.begin(async () => {
      await counters.updateOne({ _id: 1 }, { $inc: { n: 1 } })
      const blocked = db.switchDbIsolate(() => counters.updateOne({ _id: 1 }, { $inc: { n: 1 } }))
      expect(await blocked.catch(error => error)).toMatchObject({ code: 'ANCESTOR_LOCK' })
    })
  })
  const { resourceMetrics } = await reader.collect()
  const points = (name: string) =>
    resourceMetrics.scopeMetrics
      .flatMap(scope => scope.metrics)
      .find(metric => metric.descriptor.name === name)
      ?.dataPoints.map(({ attributes }) => attributes)
  expect(points('strata.mongo.operation.duration')).toContainEqual({
    datasource: 'main',
    level: 0,
    collection: 'counters',
    operation: 'insertOne',
    result: 'ok',
  })
  expect(points('strata.mongo.slices')).toContainEqual({
    datasource: 'main',
    level: 1,
    collection: 'counters',
    operation: 'updateOne',
    result: 'lock',
  })
  expect(points('strata.mongo.wait.duration')?.length).toBeGreaterThan(1)
  expect(points('strata.mongo.connections')).toContainEqual({ datasource: 'main', level: 0, state: 'in_use' })
})
