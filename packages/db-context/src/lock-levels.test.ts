import { expect, it } from 'vitest'
import { LockLevels } from './lock-levels.ts'

function recorded() {
  const reports: unknown[] = []
  return { reports, levels: new LockLevels(error => reports.push(error)) }
}

it('reports a collection once when it is written deeper than it is held', () => {
  const { levels, reports } = recorded()
  levels.held('school.students', 0)
  levels.written('school.students', 0)
  expect(reports).toEqual([])
  levels.written('school.students', 2)
  levels.written('school.students', 1)
  expect(reports).toMatchObject([
    { code: 'LOCK_ORDER', details: { collection: 'school.students', held: 0, written: 2 } },
  ])
  expect(levels.all()).toEqual([{ collection: 'school.students', held: [0], written: [0, 1, 2], isOrdered: false }])
})

it('reports it in whichever order that is seen', () => {
  const { levels, reports } = recorded()
  levels.written('school.students', 1)
  levels.held('school.students', 0)
  expect(reports).toHaveLength(1)
})

it('says nothing of collections that are held and written at their own levels', () => {
  const { levels, reports } = recorded()
  levels.held('school.audit', 1)
  levels.written('school.audit', 1)
  levels.written('school.students', 3)
  expect(reports).toEqual([])
  expect(levels.all().every(({ isOrdered }) => isOrdered)).toBe(true)
})

it('leaves out the collections of Strata itself, whose documents belong to one piece of work each', () => {
  const { levels, reports } = recorded()
  levels.held('school.strata.inbox', 0)
  levels.written('school.strata.inbox', 2)
  expect([reports, levels.all()]).toEqual([[], []])
})
