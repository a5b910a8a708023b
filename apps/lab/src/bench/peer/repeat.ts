import { setTimeout as sleep } from 'node:timers/promises'
import type { Stretch } from './messages.ts'
import type { Call } from './station.ts'

/** Has callers repeat a call, each one after the other, and tells how many milliseconds each call took. */
export async function repeat(call: Call, { callers, forMs, idleMs }: Omit<Stretch, 'station'>): Promise<number[]> {
  const took: number[] = []
  const end = performance.now() + forMs
  const caller = async (): Promise<void> => {
    do {
      const begun = performance.now()
      await call()
      took.push(performance.now() - begun)
      if (idleMs > 0) await sleep(idleMs)
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return took
}
