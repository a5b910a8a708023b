const WINDOW_MS = 60_000
const FIRST_PAUSE_MS = 100

/** How many restarts all worker processes together get in any 60 s. */
export const RESTARTS_MAX = 5

/** Decides whether and when a process that ended by itself is started again. */
export class Restarts {
  readonly #times: number[] = []

  /**
   * Takes one restart at `nowMs`. Returns the pause before it, in milliseconds, twice as long with each restart of the last
   * 60 s (100 ms to 1.6 s); undefined when those are used up: what then still dies would die for ever.
   */
  take(nowMs: number): number | undefined {
    const recent = this.#times.filter(time => nowMs - time < WINDOW_MS)
    if (recent.length >= RESTARTS_MAX) return undefined
    this.#times.splice(0, this.#times.length, ...recent, nowMs)
    return FIRST_PAUSE_MS * 2 ** recent.length
  }
}
