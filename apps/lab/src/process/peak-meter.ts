import type { PoolState } from '@strata/db-context'
import type { Peak } from '../outcome.ts'

/** Short statements come and go between two looks; at this pace a look costs less than one percent of a core. */
const lookMs = 5

/** Keeps the most connections and slots of this process that were in use at once. */
export class PeakMeter {
  readonly #pools: () => readonly PoolState[]
  readonly #timer: NodeJS.Timeout
  #slots = 0
  #window: { connections: number; slots: number } = { connections: 0, slots: 0 }

  constructor(pools: () => readonly PoolState[]) {
    this.#pools = pools
    this.#timer = setInterval(() => this.look(), lookMs)
  }

  /** Counts a worker slot as in use while `run` runs. */
  async slot<T>(run: () => Promise<T>): Promise<T> {
    this.#slots += 1
    this.look()
    try {
      return await run()
    } finally {
      this.look()
      this.#slots -= 1
    }
  }

  look(): void {
    const connections = this.#pools().reduce((sum, { inUse }) => sum + inUse, 0)
    this.#window = {
      connections: Math.max(this.#window.connections, connections),
      slots: Math.max(this.#window.slots, this.#slots),
    }
  }

  /** The most since the call before; what is in use now counts for the next one too. */
  take(): Peak {
    this.look()
    const taken = this.#window
    this.#window = { connections: 0, slots: 0 }
    this.look()
    return taken
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
