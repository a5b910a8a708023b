import { expect, test } from 'vitest'
import type { Outcome, StrangersEnd } from '../outcome.ts'
import { findScenario } from '../scenarios/scenarios.ts'
import { type Flags, settingsFrom } from '../settings.ts'
import { aftermath } from './aftermath.ts'

const nothing = { permits: 0, statements: 0, calls: 0, jobs: 0, transactions: 0, operations: 0, slots: 0 }
const ended: Outcome = {
  completed: 20,
  failed: 0,
  hung: 0,
  symptoms: {},
  elapsedMs: 1,
  peak: { connections: 0, slots: 0 },
  held: nothing,
}

function wrongOf(name: string, given: Partial<Flags>, outcome: Partial<Outcome>): readonly string[] {
  const scenario = findScenario(name)
  if (scenario === undefined) throw new Error(`No scenario ${name}`)
  const flags: Flags = { isolation: 'levels', roots: 20, deadlineMs: 20_000, ...given }
  return aftermath({ ...ended, ...outcome }, { ...settingsFrom(flags, scenario), seed: 1 }, scenario)
}

test.each(Object.keys(nothing))('%s that are held at the end are not as promised, unless roots hang', what => {
  const held = { ...nothing, [what]: 2 }
  expect(wrongOf('pool', {}, { held })).toEqual([`nothing was to be held at the end: 2 ${what}`])
  expect(wrongOf('depth', { isolation: 'none' }, { held })).toHaveLength(1)
  expect(wrongOf('pool', {}, { held, hung: 1 })).toEqual([])
  expect(wrongOf('pool', {}, {})).toEqual([])
})

test('strangers end, as work does that documents block; without levels nothing is said of them', () => {
  const fared = (end: Partial<StrangersEnd>) => ({ strangers: { rounds: 9, symptoms: {}, unfinished: 0, ...end } })
  const given = { strangers: 5 }
  expect(wrongOf('pool', given, fared({ symptoms: { LOCK_TIMEOUT: 3 } }))).toEqual([])
  const failed = fared({ symptoms: { POOL_TIMEOUT: 1 }, unfinished: 2 })
  expect(wrongOf('pool', given, failed)).toEqual([
    '2 strangers had not ended',
    '1 rounds of strangers failed with POOL_TIMEOUT',
  ])
  expect(wrongOf('failover', given, failed)).toEqual(['2 strangers had not ended'])
  expect(wrongOf('pool', { ...given, isolation: 'none' }, failed)).toEqual([])
})
