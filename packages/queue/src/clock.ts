import type { Redis } from 'ioredis'

/** A sample older than this is replaced by a worse one: clocks drift. */
const sampleMsMax = 60_000

/**
 * Redis's clock, as this process knows it. Deadlines travel in its time, so that the clocks of two hosts never have to
 * agree. Assumed: Redis's own clock does not jump (after a failover it is the new master's). The error is half a round trip,
 * plus drift between two looks. On this side it counts with the monotonic clock.
 */
export class RedisClock {
  #offset = 0
  #roundTripMs = Number.POSITIVE_INFINITY
  #sampledAt = Number.NEGATIVE_INFINITY

  /** Looks at Redis's clock; a look that took longer than an earlier one is worth less and is dropped. */
  async sync(redis: Redis): Promise<void> {
    const before = performance.now()
    const [seconds, micros] = await redis.time()
    const after = performance.now()
    const roundTripMs = after - before
    if (roundTripMs > this.#roundTripMs && after - this.#sampledAt < sampleMsMax) return
    this.#offset = Number(seconds) * 1000 + Number(micros) / 1000 - (before + after) / 2
    this.#roundTripMs = roundTripMs
    this.#sampledAt = after
  }

  /** Milliseconds on Redis's clock. */
  now(): number {
    return performance.now() + this.#offset
  }
}
