import { expect, it } from 'vitest'
import { BlockedDocuments } from './blocked-documents.ts'

it('lets one write of a document be sent, and the next in its place when that fails', async () => {
  const blocked = new BlockedDocuments()
  expect(blocked.tryOpen('a')).toBe(true)
  expect(blocked.tryOpen('a')).toBe(false)
  const second = blocked.wait('a', 10_000)
  const third = blocked.wait('a', 10_000)
  blocked.leave('a', false)
  expect(await second).toBe('first')
  blocked.leave('a', false)
  expect(await third).toBe('first')
  blocked.leave('a', false)
  expect(blocked.size).toBe(0)
})

it('frees all who wait when one gets through', async () => {
  const blocked = new BlockedDocuments()
  blocked.tryOpen('a')
  const others = [blocked.wait('a', 10_000), blocked.wait('a', 10_000)]
  blocked.leave('a', true)
  expect(await Promise.all(others)).toEqual(['free', 'free'])
  expect(await blocked.wait('a', 10_000)).toBe('free')
  expect(blocked.has('a')).toBe(false)
})

it('forgets who waited too long', async () => {
  const blocked = new BlockedDocuments()
  blocked.tryOpen('a')
  const late = blocked.wait('a', 1)
  const patient = blocked.wait('a', 10_000)
  expect(await late).toBe('late')
  blocked.leave('a', false)
  expect(await patient).toBe('first')
})
