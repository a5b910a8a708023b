import { describe, expect, inject, it } from 'vitest'
import { type LabReport, runLab } from './lab.ts'

const servers = { mongoUrl: inject('mongoUrl'), redisUrl: inject('redisUrl') }
const run = (...args: string[]) => runLab(args, servers)

/** A deadline at which a hang is called one; a run that completes takes a fraction of it. */
const hang = ['--isolation', 'none', '--deadline-ms', '4000']
const smallest = ['--pool', '1', '--lanes', '1', '--roots', '50', '--processes', '2']

type Expected = Partial<LabReport>

/** Scenario, its flags, and what must show without and with levels. */
const pairs: readonly (readonly [string, readonly string[], (report: LabReport) => Expected, Expected])[] = [
  ['pool', ['--topology', 'load-balanced'], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['pool', ['--processes', '1', '--depth', '1'], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['pool', ['--topology', 'replica-set'], () => ({ completed: 20 }), { completed: 20 }],
  ['slots', [], hangsIn('LANE_WAIT'), { completed: 20 }],
  ['starved-commit', [], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['blocked-stranger', [], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['backlog', [], () => ({ hung: 20, symptoms: { LANE_WAIT: 20 } }), { completed: 20 }],
  ['long-operation', [], () => ({}), { completed: 20 }],
  ['depth', [], () => ({ failed: 20, symptoms: { LEVEL_LIMIT: 20 } }), { failed: 20, symptoms: { LEVEL_LIMIT: 20 } }],
  ['ancestor-lock', [], () => ({ hung: 20, symptoms: { LOCK_WAIT: 20 } }), { symptoms: { ANCESTOR_LOCK: 20 } }],
  ['await-before-commit', [], refusedWith('AWAIT_BEFORE_COMMIT'), { symptoms: { AWAIT_BEFORE_COMMIT: 20 } }],
  ['upsert', [], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['blocked-slot', [], hangsIn('LANE_WAIT'), { completed: 20 }],
  ['crossed', [], hangsIn('LOCK_WAIT'), { completed: 20 }],
  ['order', [], () => ({ failed: 20, symptoms: { LEVEL_ORDER: 20 } }), { failed: 20, symptoms: { LEVEL_ORDER: 20 } }],
]

function hangsIn(symptom: string) {
  return (report: LabReport): Expected => {
    expect(report.hung).toBeGreaterThan(0)
    expect(report.symptoms[symptom] ?? 0).toBeGreaterThan(0)
    return {}
  }
}

function refusedWith(symptom: string) {
  return (): Expected => ({ failed: 20, symptoms: { [symptom]: 20 } })
}

/** What is as it should be without levels too, or shows its symptom in what it counts: then nothing hangs. */
const ends: readonly (readonly [string, Expected])[] = [
  ['retry', { completed: 20, jobsRun: 20, writes: 20 }],
  ['tickets', { completed: 20 }],
  ['failover', { completed: 20, falseOutcomes: 0 }],
  ['outbox', { completed: 20, committed: 16, duplicates: 0 }],
]

describe.each(ends)('%s', (scenario, expected) => {
  it.each(['levels', 'none'])('ends as promised with isolation %s', async isolation => {
    expect(await run(scenario, '--isolation', isolation)).toMatchObject({ verdict: 'as-expected', ...expected })
  })
})

it('killed-holder: what a killed process held is free within 20 s, and stays locked without levels', async () => {
  expect(await run('killed-holder')).toMatchObject({ verdict: 'as-expected', completed: 20 })
  expect(await run('killed-holder', ...hang)).toMatchObject({ verdict: 'as-expected', symptoms: { LOCK_WAIT: 20 } })
})

it('lock: a write that comes after its lease is refused by its token, and accepted without', async () => {
  const flags = ['--rounds', '3', '--ttl-ms', '200', '--processes', '2']
  const fenced = await run('lock', ...flags)
  expect(fenced).toMatchObject({ verdict: 'as-expected', completed: 3, staleAccepted: 0 })
  expect(fenced.staleRefused).toBeGreaterThan(0)
  const open = await run('lock', ...flags, '--fencing', 'off')
  expect(open).toMatchObject({ verdict: 'as-expected', completed: 3, staleRefused: 0 })
  expect(open.staleAccepted).toBeGreaterThan(0)
})

describe.each(pairs)('%s %j', (scenario, flags, without, withLevels) => {
  it('shows its symptom without levels', async () => {
    const report = await run(scenario, ...flags, ...hang)
    expect(report).toMatchObject({ verdict: 'as-expected', ...without(report) })
  })

  it('ends as promised with levels', async () => {
    expect(await run(scenario, ...flags)).toMatchObject({ verdict: 'as-expected', hung: 0, ...withLevels })
  })
})

it.each([1, 2, 3, 4, 5, 6, 7, 8])(
  '50 requests at once, %i deep, complete with every pool and lane of size 1',
  async depth => {
    const report = await run('pool', ...smallest, '--depth', String(depth))
    expect(report).toMatchObject({ verdict: 'as-expected', completed: 50 })
  },
)

it.each(['slots', 'starved-commit', 'blocked-stranger', 'backlog', 'long-operation'])(
  '%s completes 50 requests, 3 deep, with every pool and lane of size 1',
  async scenario => {
    const report = await run(scenario, ...smallest, '--depth', '3')
    expect(report).toMatchObject({ verdict: 'as-expected', completed: 50 })
  },
)
