import { expect, test } from 'vitest'
import { killedHolder } from './scenarios/killed-holder.ts'
import type { ScenarioShape } from './scenarios/scenario.ts'
import { findScenario } from './scenarios/scenarios.ts'
import { type Flags, settingsFrom } from './settings.ts'

const flags: Flags = { isolation: 'levels', roots: 20, processes: 2, deadlineMs: 20_000 }

function settings(name: string, given: Partial<Flags> = {}) {
  const scenario = findScenario(name)
  if (scenario === undefined) throw new Error(`No scenario ${name}`)
  return settingsFrom({ ...flags, ...given }, scenario)
}

test.each([
  ['pool', { pool: 1, lanes: 40, depth: 2, topology: 'load-balanced' }],
  ['slots', { pool: 40, lanes: 1, depth: 2, topology: 'replica-set' }],
  ['starved-commit', { pool: 1, lanes: 20, depth: 1, topology: 'replica-set' }],
  ['blocked-stranger', { pool: 1, lanes: 20, depth: 1, topology: 'replica-set' }],
  ['backlog', { pool: 20, lanes: 1, depth: 1, topology: 'replica-set' }],
  ['long-operation', { pool: 1, lanes: 40, depth: 2, topology: 'replica-set' }],
  ['depth', { pool: 40, lanes: 40, depth: 2, topology: 'replica-set' }],
  ['order', { pool: 40, lanes: 40, depth: 2, topology: 'replica-set' }],
])('%s has one of what is scarce and ample of the rest', (name, expected) => {
  expect(settings(name)).toMatchObject(expected)
})

test('flags go before defaults', () => {
  const given = { pool: 3, lanes: 4, depth: 5, topology: 'replica-set', isolation: 'none', processes: 1 } as const
  expect(settings('pool', given)).toMatchObject(given)
  expect(settings('pool', { depth: 8, roots: 50 }).lanes).toBe(400)
})

test('one size is that of pools and lanes, and goes behind theirs', () => {
  expect(settings('pool', { size: 10 })).toMatchObject({ pool: 10, lanes: 10 })
  expect(settings('pool', { size: 10, lanes: 3 })).toMatchObject({ pool: 10, lanes: 3 })
})

test('strangers need a worker that is left where one is killed', () => {
  const { processes: _, ...absent } = flags
  const processes = (given: Partial<Flags>) => settingsFrom({ ...absent, ...given }, killedHolder).processes
  expect(processes({})).toBe(2)
  expect(processes({ strangers: 1 })).toBe(3)
  expect(processes({ strangers: 1, processes: 4 })).toBe(4)
})

test('a depth at which the hazard cannot be is refused', () => {
  const usage = expect.objectContaining({ code: 'USAGE', message: 'slots needs --depth 2 or more, got 1' })
  expect(() => settings('slots', { depth: 1 })).toThrow(usage)
})

test('sizes beyond what is possible are refused, not cut', () => {
  const usage = expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('--lanes') })
  expect(() => settings('pool', { roots: 600, depth: 2 })).toThrow(usage)
  expect(settings('pool', { roots: 600, depth: 2, lanes: 10 }).lanes).toBe(10)
})

const owning: ScenarioShape = {
  name: 'owning',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  flags: {
    transfers: { about: 'transfers', default: 5, min: 1, max: 9000 },
    mode: { about: 'what moves', default: 'slow', choices: ['slow', 'fast'] },
  },
  roots: ({ transfers }) => Number(transfers),
  processes: ({ mode }) => (mode === 'fast' ? 4 : 2),
  ample: 16,
  deadlineMs: 60_000,
}

test('flags of its own decide what they say they do', () => {
  const defaults = { own: { transfers: 5, mode: 'slow' }, roots: 5, processes: 2, pool: 16, deadlineMs: 60_000 }
  expect(settingsFrom({ isolation: 'levels' }, owning)).toMatchObject(defaults)
  const given = settingsFrom({ isolation: 'levels', own: { transfers: 5000, mode: 'fast' }, deadlineMs: 100 }, owning)
  expect(given).toMatchObject({ roots: 5000, processes: 4, pool: 16, deadlineMs: 100 })
})

test.each([
  [{ roots: 3 }, '--roots'],
  [{ processes: 3 }, '--processes'],
  [{ own: { killEveryMs: 3 } }, 'no flag --kill-every-ms'],
])('%j is refused where they decide', (given, text) => {
  const usage = expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(text) })
  expect(() => settingsFrom({ isolation: 'levels', ...given }, owning)).toThrow(usage)
})
