import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { within } from './bound.ts'

const late = new Error('late')
const never = new Promise<never>(() => {})

test('what is not there in time is an error of its own, and a signal leaves a time to end', async () => {
  await expect(within(never, { ms: 1, expired: () => late })).rejects.toBe(late)
  const stop = new AbortController()
  const aborted = (reason: unknown) => new Error(String(reason))
  const onSignal = { signal: stop.signal, graceMs: 5, aborted }
  const told = within(never, { ms: 600_000, expired: () => late, onSignal })
  const ends = Promise.withResolvers<string>()
  const ended = within(ends.promise, { ms: 600_000, expired: () => late, onSignal: { ...onSignal, graceMs: 600_000 } })
  stop.abort('enough')
  ends.resolve('by itself')
  await expect(told).rejects.toThrow('enough')
  expect(await ended).toBe('by itself')
})

test('what was answered while the process was stopped counts, though the time is over', async () => {
  // From here the timers come before what was answered.
  await new Promise(resolve => setImmediate(resolve))
  const answered = within(stat('.'), { ms: 20, expired: () => late })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  expect((await answered).isDirectory()).toBe(true)
})
