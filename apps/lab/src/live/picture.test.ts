import { expect, test } from 'vitest'
import type { Frame } from '../lab/view.ts'
import type { ProcessReport } from '../process/report.ts'
import type { Settings } from '../settings.ts'
import { laneLines, picture, standing } from './picture.ts'

const settings: Settings = {
  scenario: 'pool',
  isolation: 'none',
  topology: 'load-balanced',
  roots: 3,
  depth: 1,
  pool: 1,
  lanes: 1,
  processes: 1,
  strangers: 0,
  deadlineMs: 4000,
  own: {},
  seed: 1,
}
const report: ProcessReport = {
  process: 'api+worker',
  pools: [{ datasource: 'lab', level: 0, max: 1, inUse: 1, waiting: 1 }],
  lanes: [{ lane: 'step~1', queue: 'step', level: 1, slots: 2, active: 2, waiting: 5 }],
  statements: [
    { root: 'a', level: 0, phase: 'holding', what: 'transaction', ageMs: 9 },
    { root: 'b', level: 0, phase: 'holding', what: 'transaction', ageMs: 9 },
    { root: 'b', level: 0, phase: 'connecting', what: 'documents.insertOne', ageMs: 9 },
  ],
  calls: [{ root: 'a', job: 'j', name: 'step', level: 1, ageMs: 5 }],
  jobs: [],
  units: { a: 0, b: 1 },
  counts: {},
  peak: { connections: 1, slots: 0 },
}
const frame: Frame = {
  settings,
  elapsedMs: 1500,
  crew: { ends: new Map([[2, { root: 2, code: 'LOCK_TIMEOUT' }]]), reports: [report] },
}

test('each level shows who holds and who waits', () => {
  expect(picture(frame)).toEqual([
    {
      process: 'api+worker',
      level: '0',
      connections: '1/1 +1',
      jobs: '0',
      holds: 'root 0: transaction',
      waits: 'root 1: connection for documents.insertOne',
    },
    { process: 'api+worker', level: '1', connections: '', jobs: '0', holds: '', waits: 'root 0: slot for step' },
  ])
  expect(laneLines(frame)).toEqual(['lane step~1: 2 of 2 slots in use, 5 jobs wait'])
})

test('one line says how the roots stand', () => {
  expect(standing(frame)).toBe('1.5 s of 4 s: 0 completed, 1 failed, 2 unfinished (1 LANE_WAIT, 1 POOL_WAIT)')
})
