import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { RedisClock } from './clock.ts'

/** A server whose clock is so many milliseconds ahead of this process's own. */
function serverAhead(aheadMs: () => number): Redis {
  const answer = async () => {
    const micros = (performance.now() + aheadMs()) * 1000
    return [String(Math.floor(micros / 1_000_000)), String(Math.floor(micros % 1_000_000))]
  }
  return { eval: answer, options: { connectionName: 'clock' } } as unknown as Redis
}

test('the clock of the server that took over is taken at the next look, however good the last one was', async () => {
  let aheadMs = 5_000_000
  const redis = serverAhead(() => aheadMs)
  const clock = new RedisClock()
  await clock.sync(redis)
  expect(clock.now() - performance.now()).toBeCloseTo(aheadMs, -2)
  aheadMs -= 30_000
  await clock.sync(redis)
  expect(clock.now() - performance.now()).toBeCloseTo(aheadMs, -2)
})
