import { describe, expect, it } from 'vitest'
import { type Expected, hang, run } from './scenario-pair.ts'

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

it.each(['two-phase', 'transaction'])(
  'bank: money moved by mode %s stays whole while processes are killed',
  async mode => {
    const report = await run(
      'bank',
      '--mode',
      mode,
      '--transfers',
      '150',
      '--coordinators',
      '2',
      '--kill-every-ms',
      '500',
    )
    expect(report).toMatchObject({ verdict: 'as-expected', completed: 150 })
    expect(report.kills).toBeGreaterThan(0)
  },
)
