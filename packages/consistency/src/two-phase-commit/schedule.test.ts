import { expect, test } from 'vitest'
import type { Recovery } from './recovery.ts'
import { Schedule } from './schedule.ts'

test('what a person has to look at is told of once, and again when it is something else', async () => {
  const told: string[] = []
  let rounds = 0
  const enough = Promise.withResolvers<void>()
  const faulty = (message: string) => ({ id: 't', cause: { code: 'TWO_PHASE_PARTICIPANT_VANISHED', message } })
  const recover = async (): Promise<Recovery> => {
    rounds += 1
    if (rounds === 9) enough.resolve()
    return { taken: 0, done: 0, canceled: 0, open: 0, faulty: [faulty(rounds < 5 ? 'one is gone' : 'two are gone')] }
  }
  const report = (error: unknown) => void told.push(String(error))
  const schedule = new Schedule({ everyMs: 1, recover, inDoubt: async () => [], report })
  schedule.start()
  await enough.promise
  await schedule.stop()
  expect(told).toEqual(['Error: t: one is gone', 'Error: t: two are gone'])
})
