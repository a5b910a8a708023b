const tickMs = 20

/** A gap between two ticks that is longer than this was not running: a stopped process, or a starved machine. */
const gapMsMax = 50

/** Counts the time in which this process could run: what a pause by SIGSTOP takes away does not count. */
export class RunningClock {
  #ranMs = 0
  #last = performance.now()

  constructor() {
    setInterval(() => this.now(), tickMs).unref()
  }

  now(): number {
    const now = performance.now()
    this.#ranMs += Math.min(now - this.#last, gapMsMax)
    this.#last = now
    return this.#ranMs
  }
}
