import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { gate, until } from '@strata/testkit'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'

// Instruments belong to the provider that is there when the package is loaded.
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({
  exporter,
  exportIntervalMillis: 3_600_000,
  exportTimeoutMillis: 5000,
})
const provider = new MeterProvider({ readers: [reader] })
metrics.setGlobalMeterProvider(provider)
const { defineJob } = await import('../src/index.ts')
const { Stage } = await import('./stage.ts')

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const stage = new Stage()

afterAll(async () => {
  await stage.clear()
  await provider.shutdown()
})

/** What was measured last, as `name {labels} value`; of a histogram how often. */
async function measured(): Promise<string[]> {
  exporter.reset()
  await reader.forceFlush()
  const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(scope => scope.metrics))
  return found.flatMap(({ descriptor, dataPoints }) =>
    dataPoints.map(({ attributes, value }) => {
      const number = typeof value === 'number' ? value : (value as { count: number }).count
      return `${descriptor.name} ${JSON.stringify(attributes)} ${number}`
    }),
  )
}

test('calls, jobs, lanes and refusals are measured', async () => {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(db, { lanes: { slots: 1 } })
  const held = gate()
  worker.handle(job, async ({ n }) => {
    if (n < 0) throw new RangeError('Below 0')
    if (n === 2) await held.wait()
    return n
  })
  await worker.start()
  await db.run(() => queues.pushAsync(job, { n: 1 }))
  await expect(db.run(() => queues.pushAsync(job, { n: -1 }))).rejects.toThrow()
  const calls = [2, 3].map(n => db.run(() => queues.pushAsync(job, { n })))
  await until(() => worker.activities().length === 1, { deadlineMs: 5000, message: 'a call to run' })
  await stage.bullmq('work~1').add('stranger', {}, { opts: {} } as never)
  const lane = '{"lane":"work~1","queue":"work","level":1}'
  const waits = async () => (await measured()).includes(`strata.queue.lane.waiting ${lane} 2`)
  await until(waits, { deadlineMs: 5000, message: 'a call and the stranger to wait' })
  const during = await measured()
  expect(during).toContain(`strata.queue.lane.active ${lane} 1`)
  expect(during).toContain(`strata.queue.lane.slots ${lane} 1`)
  expect(during).toContain('strata.queue.calls.waiting {} 2')
  held.open()
  await Promise.all(calls)
  const refused = async () => (await measured()).some(line => line.startsWith('strata.queue.refusals {"code":"'))
  await until(refused, { deadlineMs: 5000, message: 'the stranger to be refused' })
  const after = await measured()
  expect(after).toContain('strata.queue.call.duration {"job":"work","level":1,"result":"ok"} 3')
  expect(after).toContain('strata.queue.call.duration {"job":"work","level":1,"result":"JOB_FAILED"} 1')
  expect(after).toContain('strata.queue.job.duration {"job":"work","level":1,"result":"ok"} 3')
  expect(after).toContain('strata.queue.calls.waiting {} 0')
})
