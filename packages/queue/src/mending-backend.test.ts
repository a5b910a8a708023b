import { expect, test } from 'vitest'
import { mend } from './mending-backend.ts'

test('what was wrong with a job when it was handed out before is forgotten when it is handed out again', () => {
  const faults = new Map<string, string>()
  const note = (id: string, fault: string | undefined) => {
    if (fault === undefined) faults.delete(id)
    else faults.set(id, fault)
  }
  mend([['opts', '{', 'data', '{}'], '7'], note)
  mend([['opts', '{', 'data', '{}'], '8'], note)
  expect([...faults.keys()]).toEqual(['7', '8'])
  mend([['opts', '{}', 'data', '{}'], '7'], note)
  expect([...faults.keys()]).toEqual(['8'])
})
