/**
 * How long one piece of work has waited for documents since its first conflict, and whether that was too long. Not counted is what
 * it waited for connections of its pool, which has a bound of its own: behind others in a small pool a second conflict would
 * else end work that has hardly met the document.
 */
export class LockWait {
  readonly #maxMs: number
  readonly #poolWaitedMs: () => number
  #since: number | undefined

  constructor(options: {
    readonly maxMs: number
    /** What the work has waited for connections so far, in milliseconds. */
    readonly poolWaitedMs: () => number
  }) {
    this.#maxMs = options.maxMs
    this.#poolWaitedMs = options.poolWaitedMs
  }

  /** To be called at every conflict; the first one counts. */
  met(): void {
    this.#since ??= this.#clock()
  }

  get ms(): number {
    return this.#since === undefined ? 0 : this.#clock() - this.#since
  }

  get isOver(): boolean {
    return this.#since !== undefined && this.ms >= this.#maxMs
  }

  /** Stands still while a connection is waited for. */
  #clock(): number {
    return performance.now() - this.#poolWaitedMs()
  }
}
