import { expect, test } from 'vitest'
import { newJobId } from './job-id.ts'

test('ids differ, and are ids that BullMQ takes: no number, no colon', () => {
  const ids = Array.from({ length: 10_000 }, newJobId)
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids) expect(id).toMatch(/^s[\w-]{12}-[0-9a-z]+$/)
})
