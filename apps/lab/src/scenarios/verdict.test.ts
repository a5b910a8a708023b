import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import type { Outcome } from '../outcome.ts'
import { type Flags, type Settings, settingsFrom } from '../settings.ts'
import type { Scenario } from './scenario.ts'
import { findScenario, scenarios } from './scenarios.ts'

const flags: Flags = { isolation: 'levels', deadlineMs: 20_000 }

function scenarioOf(name: string): Scenario {
  const scenario = findScenario(name)
  if (scenario === undefined) throw new Error(`No scenario ${name}`)
  return scenario
}

const settings = (name: string, given: Partial<Flags>): Settings => {
  return { ...settingsFrom({ ...flags, ...given }, scenarioOf(name)), seed: 1 }
}

const nothing = { permits: 0, statements: 0, calls: 0, jobs: 0, transactions: 0, operations: 0, slots: 0 }

function isAsPromised(name: string, given: Partial<Flags>, outcome: Partial<Outcome>): boolean {
  const seen = {
    completed: 0,
    failed: 0,
    hung: 0,
    symptoms: {},
    elapsedMs: 1,
    peak: { connections: 0, slots: 0 },
    held: nothing,
  }
  return scenarioOf(name).judge({ ...seen, ...outcome }, settings(name, given)).length === 0
}

const none = { isolation: 'none' } as const
const all = { completed: 20 }
const allIn = (code: string) => ({ hung: 20, symptoms: { [code]: 20 } })

const curable = ['pool', 'slots', 'starved-commit', 'blocked-stranger', 'backlog', 'blocked-slot', 'crossed', 'upsert']

describe.each(curable)('%s', name => {
  test('with levels all roots complete, nothing less', () => {
    expect(isAsPromised(name, {}, all)).toBe(true)
    expect(isAsPromised(name, {}, { completed: 19, hung: 1, symptoms: { POOL_WAIT: 1 } })).toBe(false)
    expect(isAsPromised(name, {}, { completed: 19, failed: 1, symptoms: { LOCK_TIMEOUT: 1 } })).toBe(false)
  })

  test('without levels a run that completes is not the promised one', () => {
    expect(isAsPromised(name, none, all)).toBe(false)
  })
})

test.each([
  ['pool', 'POOL_WAIT', 'LANE_WAIT'],
  ['slots', 'LANE_WAIT', 'POOL_WAIT'],
  ['starved-commit', 'POOL_WAIT', 'LOCK_WAIT'],
  ['blocked-stranger', 'POOL_WAIT', 'LOCK_WAIT'],
  ['blocked-slot', 'LANE_WAIT', 'LOCK_WAIT'],
  ['upsert', 'POOL_WAIT', 'LOCK_WAIT'],
])('%s hangs in %s and in nothing else', (name, code, other) => {
  expect(isAsPromised(name, none, allIn(code))).toBe(true)
  expect(isAsPromised(name, none, { completed: 3, hung: 17, symptoms: { [code]: 17 } })).toBe(true)
  expect(isAsPromised(name, none, allIn(other))).toBe(false)
  expect(isAsPromised(name, none, { hung: 20, symptoms: { [code]: 19, [other]: 1 } })).toBe(false)
  expect(isAsPromised(name, none, { failed: 1, hung: 19, symptoms: { [code]: 19, ERROR: 1 } })).toBe(false)
})

test('pool hangs only where a driver pins and a chain needs two connections of one process', () => {
  expect(isAsPromised('pool', { ...none, topology: 'replica-set' }, all)).toBe(true)
  expect(isAsPromised('pool', { ...none, topology: 'replica-set' }, allIn('POOL_WAIT'))).toBe(false)
  expect(isAsPromised('pool', { ...none, depth: 1 }, all)).toBe(true)
  expect(isAsPromised('pool', { ...none, depth: 1, processes: 1 }, all)).toBe(false)
  expect(isAsPromised('pool', { ...none, depth: 1, processes: 1 }, allIn('POOL_WAIT'))).toBe(true)
  expect(scenarioOf('pool').promise(settings('pool', { ...none, topology: 'replica-set' }))).toContain(
    'nothing is pinned',
  )
})

test('a backlog hangs every root', () => {
  expect(isAsPromised('backlog', none, allIn('LANE_WAIT'))).toBe(true)
  expect(isAsPromised('backlog', none, { completed: 1, hung: 19, symptoms: { LANE_WAIT: 19 } })).toBe(false)
})

test('long-operation is judged by what finished before the gate', () => {
  const waiting = { completed: 0, symptoms: { POOL_WAIT: 20 } }
  expect(isAsPromised('long-operation', none, { ...all, beforeGate: waiting })).toBe(true)
  expect(isAsPromised('long-operation', none, { ...all, beforeGate: { completed: 1, symptoms: {} } })).toBe(false)
  expect(isAsPromised('long-operation', {}, { ...all, beforeGate: { completed: 20, symptoms: {} } })).toBe(true)
  expect(isAsPromised('long-operation', {}, { ...all, beforeGate: waiting })).toBe(false)
  expect(isAsPromised('long-operation', {}, all)).toBe(false)
})

test.each([
  ['depth', 'LEVEL_LIMIT'],
  ['order', 'LEVEL_ORDER'],
])('%s is refused with %s at once, with levels and without', (name, code) => {
  const refused = { failed: 20, symptoms: { [code]: 20 }, refusalMsMax: 100 }
  for (const isolation of ['levels', 'none'] as const) {
    expect(isAsPromised(name, { isolation }, refused)).toBe(true)
    expect(isAsPromised(name, { isolation }, { ...refused, refusalMsMax: 101 })).toBe(false)
    expect(isAsPromised(name, { isolation }, { ...refused, symptoms: { [code]: 19, JOB_FAILED: 1 } })).toBe(false)
    expect(isAsPromised(name, { isolation }, { failed: 20, symptoms: { [code]: 20 } })).toBe(false)
  }
})

test('crossed chains hang in locks, and with few slots in lanes', () => {
  expect(isAsPromised('crossed', none, allIn('LOCK_WAIT'))).toBe(true)
  const few = { ...none, lanes: 1 }
  expect(isAsPromised('crossed', few, { hung: 20, symptoms: { LOCK_WAIT: 1, LANE_WAIT: 19 } })).toBe(true)
  expect(isAsPromised('crossed', few, allIn('POOL_WAIT'))).toBe(false)
  expect(isAsPromised('crossed', none, allIn('LANE_WAIT'))).toBe(false)
  expect(isAsPromised('crossed', none, { completed: 1, hung: 19, symptoms: { LOCK_WAIT: 19 } })).toBe(false)
})

test('crossed chains wait as the product does, or shorter where many turns have to fit before the deadline', () => {
  const lockWaitMs = (given: Partial<Flags>) => scenarioOf('crossed').lockWaitMs?.(settings('crossed', given))
  expect(lockWaitMs({})).toBe(2000)
  expect(lockWaitMs({ size: 10 })).toBe(2000)
  expect(lockWaitMs({ size: 1 })).toBe(250)
  expect(lockWaitMs({ size: 1, deadlineMs: 60_000 })).toBe(750)
  expect(lockWaitMs({ size: 1, roots: 200 })).toBe(250)
})

test("an ancestor's lock is told within 2 s, and hangs without levels", () => {
  const refused = { failed: 20, symptoms: { ANCESTOR_LOCK: 20 }, refusalMsMax: 2000 }
  expect(isAsPromised('ancestor-lock', {}, refused)).toBe(true)
  expect(isAsPromised('ancestor-lock', {}, { ...refused, refusalMsMax: 2001 })).toBe(false)
  expect(isAsPromised('ancestor-lock', {}, { failed: 20, symptoms: { LOCK_TIMEOUT: 20 } })).toBe(false)
  expect(isAsPromised('ancestor-lock', none, allIn('LOCK_WAIT'))).toBe(true)
  expect(isAsPromised('ancestor-lock', none, refused)).toBe(false)
})

test('a job whose result is awaited before the commit does not run', () => {
  const refused = { failed: 20, symptoms: { AWAIT_BEFORE_COMMIT: 20 }, refusalMsMax: 100 }
  for (const isolation of ['levels', 'none'] as const) {
    expect(isAsPromised('await-before-commit', { isolation }, { ...refused, counts: { jobsRun: 0 } })).toBe(true)
    expect(isAsPromised('await-before-commit', { isolation }, { ...refused, counts: { jobsRun: 1 } })).toBe(false)
  }
})

test('a storm of conflicts repeats bodies, not jobs and not writes', () => {
  const counts = { bodies: 21, jobsRun: 20, writes: 20 }
  expect(isAsPromised('retry', {}, { ...all, counts })).toBe(true)
  for (const other of [{ bodies: 20 }, { jobsRun: 21 }, { writes: 19 }]) {
    expect(isAsPromised('retry', {}, { ...all, counts: { ...counts, ...other } })).toBe(false)
  }
  expect(isAsPromised('retry', { pool: 1 }, { ...all, counts: { ...counts, bodies: 20 } })).toBe(true)
})

test('a failover may leave doubt, and tells nothing false', () => {
  expect(isAsPromised('failover', {}, { ...all, counts: { unknown: 3, falseOutcomes: 0 } })).toBe(true)
  expect(isAsPromised('failover', {}, { ...all, counts: { falseOutcomes: 1 } })).toBe(false)
})

test('a transaction finds a ticket, and without levels it does not', () => {
  expect(isAsPromised('tickets', {}, { ...all, counts: { bodies: 1 } })).toBe(true)
  expect(isAsPromised('tickets', {}, { ...all, counts: { bodies: 2 } })).toBe(false)
  expect(isAsPromised('tickets', { strangers: 20 }, { ...all, counts: { bodies: 2 } })).toBe(true)
  expect(isAsPromised('tickets', none, { ...all, counts: { bodies: 2 } })).toBe(true)
  expect(isAsPromised('tickets', none, { ...all, counts: { bodies: 1 } })).toBe(false)
})

test('what a killed process held is taken over in 20 s, and without levels after the life of its transaction', () => {
  const after = (takeOverMs: number) => ({ ...all, counts: { takeOverMs } })
  expect(isAsPromised('killed-holder', {}, after(20_000))).toBe(true)
  expect(isAsPromised('killed-holder', {}, after(20_001))).toBe(false)
  expect(isAsPromised('killed-holder', none, allIn('LOCK_WAIT'))).toBe(true)
  expect(isAsPromised('killed-holder', none, after(12_000))).toBe(false)
  const patient = { ...none, deadlineMs: 100_000 }
  expect(isAsPromised('killed-holder', patient, after(75_000))).toBe(true)
  expect(isAsPromised('killed-holder', patient, after(12_000))).toBe(false)
  expect(isAsPromised('killed-holder', patient, allIn('LOCK_WAIT'))).toBe(false)
})

test.each([{}, none])('inbox promises one effect a message and the stored result to the others, %o', given => {
  const counts = { effects: 20, stored: 80, putBack: 3 }
  expect(isAsPromised('inbox', given, { ...all, counts })).toBe(true)
  expect(isAsPromised('inbox', given, { ...all, counts: { ...counts, effects: 21 } })).toBe(false)
  expect(isAsPromised('inbox', given, { ...all, counts: { ...counts, stored: 79 } })).toBe(false)
  expect(isAsPromised('inbox', given, { completed: 19, hung: 1, counts })).toBe(false)
})

test('idempotency promises one order and one charge a key, and without levels keys that stay in progress', () => {
  const counts = { orders: 20, charges: 20, repeats: 7 }
  expect(isAsPromised('idempotency', {}, { ...all, counts })).toBe(true)
  expect(isAsPromised('idempotency', {}, { ...all, counts: { ...counts, charges: 21 } })).toBe(false)
  expect(isAsPromised('idempotency', none, { completed: 12, hung: 8 })).toBe(true)
  expect(isAsPromised('idempotency', none, { completed: 12, hung: 7, failed: 1 })).toBe(false)
  expect(isAsPromised('idempotency', none, { ...all, counts })).toBe(false)
  expect(() => settings('idempotency', { processes: 2 })).toThrow('--processes 3')
})

test('outbox promises that all that is committed is delivered in order, and without one that some is lost', () => {
  const counts = { committed: 16, delivered: 16, duplicates: 0, outOfOrder: 0 }
  expect(isAsPromised('outbox', {}, { ...all, counts })).toBe(true)
  expect(isAsPromised('outbox', {}, { ...all, counts: { ...counts, delivered: 15 } })).toBe(false)
  expect(isAsPromised('outbox', {}, { ...all, counts: { ...counts, outOfOrder: 1 } })).toBe(false)
  expect(isAsPromised('outbox', {}, { ...all, counts: { ...counts, duplicates: 1 } })).toBe(false)
  expect(isAsPromised('outbox', none, { ...all, counts })).toBe(false)
  expect(isAsPromised('outbox', none, { ...all, counts: { ...counts, delivered: 8, outOfOrder: 2 } })).toBe(true)
  expect(() => settings('outbox', { processes: 2 })).toThrow('--processes 3')
})

test('a bank keeps its total, at every look, and moves each transfer once', () => {
  const counts = { totalBefore: 8000, totalAfter: 8000, snapshots: 9, done: 400, kills: 3, recovered: 7 }
  const ended = { completed: 500, counts }
  expect(isAsPromised('bank', {}, ended)).toBe(true)
  expect(isAsPromised('bank', none, ended)).toBe(true)
  expect(isAsPromised('bank', {}, { ...ended, completed: 499, hung: 1 })).toBe(false)
  const wrong = {
    quietMs: 30_001,
    totalAfter: 7999,
    negatives: 1,
    inDoubt: 1,
    doubled: 1,
    unequal: 1,
    changed: 1,
    snapshots: 0,
  }
  for (const [name, count] of Object.entries(wrong)) {
    expect(isAsPromised('bank', {}, { ...ended, counts: { ...counts, [name]: count } })).toBe(false)
  }
})

test('a lock refuses each write that comes after its lease, and without fencing accepts some', () => {
  const all = { completed: 200 }
  const fenced = { staleAccepted: 0, staleRefused: 200 }
  expect(isAsPromised('lock', {}, { ...all, counts: fenced })).toBe(true)
  expect(isAsPromised('lock', {}, { completed: 199, failed: 1, counts: fenced })).toBe(false)
  expect(isAsPromised('lock', {}, { ...all, counts: { staleAccepted: 1, staleRefused: 199 } })).toBe(false)
  expect(isAsPromised('lock', {}, { ...all, counts: { staleAccepted: 0, staleRefused: 0 } })).toBe(false)
  const off = { own: { fencing: 'off' } }
  expect(isAsPromised('lock', off, { ...all, counts: { staleAccepted: 1, staleRefused: 0 } })).toBe(true)
  expect(isAsPromised('lock', off, { ...all, counts: { staleAccepted: 0, staleRefused: 0 } })).toBe(false)
})

test('the README has a row for every scenario', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  for (const { name } of scenarios) expect(readme).toContain(`\n| \`${name}\``)
})

test('every scenario says its hazard and what it promises', () => {
  expect(scenarios.map(({ name }) => name)).toEqual([
    'pool',
    'slots',
    'starved-commit',
    'blocked-stranger',
    'backlog',
    'long-operation',
    'depth',
    'order',
    'ancestor-lock',
    'await-before-commit',
    'retry',
    'failover',
    'blocked-slot',
    'crossed',
    'upsert',
    'tickets',
    'killed-holder',
    'inbox',
    'idempotency',
    'outbox',
    'bank',
    'lock',
  ])
  for (const scenario of scenarios) {
    expect(scenario.hazard).toMatch(/\((Z\d+(, Z\d+)*|honest ends)\)$/)
    expect(scenario.promise(settings(scenario.name, none))).not.toBe('')
  }
})
