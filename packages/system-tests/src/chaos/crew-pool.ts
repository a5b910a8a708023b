/** Crews, or what else rounds are played with, that serve one round after the other; a round that fails may leave a crew in any state, so it gets no other. */
export class CrewPool<Crew extends AsyncDisposable> {
  readonly #idle: Crew[] = []
  readonly #start: () => Promise<Crew>
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(size: number, start: () => Promise<Crew>) {
    this.#free = size
    this.#start = start
  }

  /** Runs `work` with a crew of its own, when there is one. */
  async use<T>(work: (crew: Crew) => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#free -= 1
    try {
      const crew = this.#idle.pop() ?? (await this.#start())
      try {
        const result = await work(crew)
        this.#idle.push(crew)
        return result
      } catch (error) {
        await crew[Symbol.asyncDispose]()
        throw error
      }
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free += 1
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map(crew => crew[Symbol.asyncDispose]()))
  }
}
