import type { Redis } from 'ioredis'
import { slotKeyOf } from './redis.ts'

/** A sample older than this is replaced by a worse one: clocks drift. */
const sampleMsMax = 60_000

/** How far two clocks may drift apart between two looks without being other clocks. */
const driftMsMax = 10

/** With a key, since the nodes of a cluster have clocks of their own. */
const timeScript = `return redis.call('TIME')`

/**
 * Redis's clock, as this process knows it. Deadlines travel in its time, so that the clocks of two hosts never have to
 * agree. Assumed: Redis's own clock does not jump; after a failover it is the new master's, at the next look. The error is half
 * a round trip, plus drift between two looks. On this side it counts with the monotonic clock.
 */
export class RedisClock {
  #offset = 0
  #roundTripMs = Number.POSITIVE_INFINITY
  #sampledAt = Number.NEGATIVE_INFINITY

  /**
   * Looks at Redis's clock. A look that took longer than an earlier one is worth less and is dropped, unless the two cannot both be
   * true of one clock.
   */
  async sync(redis: Redis): Promise<void> {
    const before = performance.now()
    const [seconds, micros] = (await redis.eval(timeScript, 1, slotKeyOf(redis))) as [string, string]
    const after = performance.now()
    const roundTripMs = after - before
    const offset = Number(seconds) * 1000 + Number(micros) / 1000 - (before + after) / 2
    const apartMs = Math.abs(offset - this.#offset)
    const isOther = apartMs > (roundTripMs + this.#roundTripMs) / 2 + driftMsMax
    if (!isOther && roundTripMs > this.#roundTripMs && after - this.#sampledAt < sampleMsMax) return
    this.#offset = offset
    this.#roundTripMs = roundTripMs
    this.#sampledAt = after
  }

  /** Milliseconds on Redis's clock. */
  now(): number {
    return performance.now() + this.#offset
  }
}
