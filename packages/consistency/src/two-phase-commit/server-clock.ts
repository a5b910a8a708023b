/** What has been seen is believed for this long: clocks of processes run at other speeds. */
const believedMs = 60_000

/**
 * What a server's clock shows at least, as far as its answers have told. A process's own clock may be off by hours; how long ago an
 * answer came, it knows well enough.
 */
export class ServerClock {
  readonly #elapsedMs: () => number
  #seen: { readonly ms: number; readonly at: number } | undefined

  constructor(elapsedMs: () => number = () => performance.now()) {
    this.#elapsedMs = elapsedMs
  }

  /** Notes the time that an answer carries. */
  observe(time: Date | undefined): void {
    if (time) this.#seen = { ms: time.getTime(), at: this.#elapsedMs() }
  }

  /** Undefined where no answer is young enough. */
  get atLeast(): Date | undefined {
    if (!this.#seen) return undefined
    const since = this.#elapsedMs() - this.#seen.at
    return since < believedMs ? new Date(this.#seen.ms + Math.floor(since)) : undefined
  }
}
