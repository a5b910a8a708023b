import { expect, test } from 'vitest'
import type { ProcessReport, Statement, Work } from '../process/report.ts'
import { diagnose, symptomsOf } from './wait.ts'

const report = (process: string, parts: Partial<ProcessReport>): ProcessReport => ({
  process,
  pools: [],
  lanes: [],
  statements: [],
  calls: [],
  jobs: [],
  units: {},
  counts: {},
  peak: { connections: 0, slots: 0 },
  ...parts,
})
const statement = (root: string, phase: Statement['phase']): Statement => {
  return { root, phase, level: 0, what: 'updateOne', ageMs: 1 }
}
const work = (root: string, job: string): Work => ({ root, job, name: 'step', level: 1, ageMs: 1 })

test('a root that waits in another process is found by the id that its chain begins with', () => {
  const api = report('api', { units: { a: 0 }, statements: [statement('a', 'holding')], calls: [work('a', 'j1')] })
  const worker = report('worker-1', { jobs: [work('a', 'j1')], statements: [statement('a', 'connecting')] })
  expect(diagnose([0], [api, worker])).toEqual(new Map([[0, 'POOL_WAIT']]))
})

test('a call waits for a slot until some process runs its job', () => {
  const api = report('api', { units: { a: 0, b: 1 }, calls: [work('a', 'j1'), work('b', 'j2')] })
  const worker = report('worker-1', { jobs: [work('a', 'j1')], calls: [work('a', 'j3')] })
  expect(diagnose([0, 1], [api, worker])).toEqual(
    new Map([
      [0, 'LANE_WAIT'],
      [1, 'LANE_WAIT'],
    ]),
  )
})

test('the actors of a root count once: pool before lane before lock', () => {
  const statements = [statement('writer', 'running'), statement('transaction', 'queued')]
  const calls = [work('transaction', 'j1')]
  const units = { writer: 0, transaction: 0 }
  expect(diagnose([0], [report('api', { units, statements, calls })])).toEqual(new Map([[0, 'POOL_WAIT']]))
  const withoutPool = report('api', { units, statements: statements.slice(0, 1), calls })
  expect(diagnose([0], [withoutPool])).toEqual(new Map([[0, 'LANE_WAIT']]))
  const lockOnly = report('api', { units, statements: statements.slice(0, 1) })
  expect(diagnose([0], [lockOnly])).toEqual(new Map([[0, 'LOCK_WAIT']]))
})

test('a root of which nothing is seen is not guessed', () => {
  const seen = diagnose([3], [report('api', { units: { a: 3 }, statements: [statement('a', 'holding')] })])
  expect(symptomsOf(seen)).toEqual({ UNSEEN_WAIT: 1 })
})
