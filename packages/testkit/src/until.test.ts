import { expect, test } from 'vitest'
import { until } from './until.ts'

test('resolves with the first truthy value', async () => {
  let looks = 0
  const value = await until(() => (looks++ < 2 ? undefined : 'there'), { deadlineMs: 1000, message: 'it', everyMs: 1 })
  expect(value).toBe('there')
  expect(looks).toBe(3)
})

test('a condition that throws is looked at again', async () => {
  let looks = 0
  const condition = (): boolean => {
    if (looks++ === 0) throw new Error('not yet')
    return true
  }
  await until(condition, { deadlineMs: 1000, message: 'it', everyMs: 1 })
  expect(looks).toBe(2)
})

test('says what it waited for, how long, and the last reason', async () => {
  const condition = (): boolean => {
    throw new Error('no such file')
  }
  const waiting = until(condition, { deadlineMs: 5, message: 'the file', everyMs: 1 })
  await expect(waiting).rejects.toMatchObject({
    code: 'WAIT_TIMEOUT',
    message: 'Waited 5 ms for the file; last reason: no such file',
  })
})

test('a condition that never answers does not outlast the deadline', async () => {
  const waiting = until(() => new Promise<boolean>(() => {}), { deadlineMs: 5, message: 'it' })
  await expect(waiting).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' })
})
