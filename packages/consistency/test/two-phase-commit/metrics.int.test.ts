import { randomUUID } from 'node:crypto'
import { metrics } from '@opentelemetry/api'
import { AggregationTemporality, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { until } from '@strata/testkit'
import { afterAll, expect, inject, onTestFinished, test } from 'vitest'

class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

// What was measured since the last look: a gauge that nobody tells of any more would else keep its value.
const reader = new Reader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA })
const provider = new MeterProvider({ readers: [reader] })
metrics.setGlobalMeterProvider(provider)
// After the provider: an instrument belongs to the provider that is registered when its module loads.
const { createTwoPhaseCommit, defineParticipant, transferOf } = await import('../../src/two-phase-commit/index.ts')
afterAll(() => provider.shutdown())

/** Values by name and unit, then by attributes. */
type Measured = Readonly<Record<string, Readonly<Record<string, unknown>>>>

async function measured(): Promise<Measured> {
  const { resourceMetrics, errors } = await reader.collect()
  expect(errors).toEqual([])
  const known = resourceMetrics.scopeMetrics.flatMap(scope => scope.metrics)
  const found = known.filter(({ dataPoints }) => dataPoints.length > 0)
  return Object.fromEntries(
    found.map(({ descriptor, dataPoints }) => [
      [descriptor.name, descriptor.unit].filter(Boolean).join(' '),
      Object.fromEntries(dataPoints.map(({ attributes, value }) => [JSON.stringify(attributes), value])),
    ]),
  )
}

async function open() {
  const database = `two-phase-${randomUUID().slice(0, 8)}`
  const datasource = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database })
  const db = createDbContext({ datasources: [datasource] })
  const accounts = defineParticipant({ name: 'accounts', datasource, collection: 'accounts' })
  const transfer = transferOf({ accounts, field: 'balance' })
  const commits = createTwoPhaseCommit({
    db,
    datasource,
    definitions: [transfer],
    recoverEveryMs: 50,
    report: () => {},
  })
  onTestFinished(async () => {
    await commits.stop()
    await db.stop({ deadlineMs: 2000 })
  })
  await commits.ensureIndexes()
  const records = datasource.service.collection<{ _id: string }>('strata.transactions')
  const balances = datasource.service.collection<{ _id: string; balance: number }>('accounts')
  for (const _id of ['a', 'b']) await balances.insertOne({ _id, balance: 100 })
  const move = (amount: number, to = 'b') => ({ input: { from: 'a', to, amount } })
  return { commits, transfer, records, move }
}

test('ends, and what has not ended, are measured', async () => {
  const { commits, transfer, records, move } = await open()
  for (const amount of [1, 2, 500]) await commits.run(transfer, move(amount))
  const ended = {
    '{"definition":"transfer","state":"done"}': 2,
    '{"definition":"transfer","state":"canceled","cause":"TWO_PHASE_GUARD_FAILED"}': 1,
  }
  // Only processes that recover tell of what has not ended.
  expect(await measured()).toEqual({ 'strata.two_phase.ended': ended })

  for (const id of ['strange', 'newer', 'vanished']) await commits.submit(transfer, { id, ...move(1, 'nobody') })
  const hourAgo = new Date(Date.now() - 3_600_000)
  const left = { $set: { definition: 'another', changedAt: hourAgo } }
  for (const _id of ['strange', 'newer']) await records.updateOne({ _id }, left)
  await records.updateOne({ _id: 'newer' }, { $set: { changedAt: new Date() } })
  const canceling = { state: 'canceling', token: 1, applyUntil: '$$NOW' }
  await records.updateOne({ _id: 'vanished' }, [{ $set: canceling }])
  commits.start()
  const isTold = async () => (await measured())['strata.two_phase.stuck']?.['{"state":"canceling"}'] === 1
  await until(isTold, { deadlineMs: 10_000, message: 'the one that is stuck to be told of' })

  const { 'strata.two_phase.oldest s': oldest = {}, ...counts } = await measured()
  expect(counts).toEqual({
    'strata.two_phase.in_doubt': { '{"state":"initial"}': 2, '{"state":"canceling"}': 1 },
    'strata.two_phase.stuck': { '{"state":"initial"}': 0, '{"state":"canceling"}': 1 },
  })
  expect(Object.keys(oldest).sort()).toEqual(['{"state":"canceling"}', '{"state":"initial"}'])
  const seconds = Number(oldest['{"state":"initial"}'])
  expect(seconds).toBeGreaterThan(3500)
  expect(seconds).toBeLessThan(3900)

  await commits.stop()
  expect(await measured()).toEqual({})
})
