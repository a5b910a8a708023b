import type { Chain } from './chain.ts'
import type { Deadline } from './deadline.ts'
import { at } from './deadline.ts'
import type { Outer } from './outer.ts'
import type { Hold } from './rank.ts'
import { dbContextError } from './registry.ts'
import type { Scope } from './scope.ts'

export interface UnitOptions {
  readonly chain: Chain
  readonly deadline: Deadline
  readonly signal: AbortSignal | undefined
  /** The live scope that this unit was started in, if any: what it holds still counts. */
  readonly enclosing: Scope | undefined
  /** The worker slot that a job holds while it runs. */
  readonly slot: Hold | undefined
  /** True where whoever runs the unit can put it back, to be run from its beginning. */
  readonly canPutBack?: boolean
}

/** One request or one job, from begin to end: the owner of a context, and what is closed when it ends. */
export class Unit implements Outer {
  readonly chain: Chain
  readonly deadline: Deadline
  readonly enclosing: Scope | undefined
  readonly slot: Hold | undefined
  readonly #canPutBack: boolean
  readonly #abort = new AbortController()
  readonly #cut = Promise.withResolvers<never>()
  readonly #closers = new Set<() => Promise<void>>()
  readonly #listeners = new Set<() => void>()
  readonly #external: AbortSignal | undefined
  #ended = false
  #effects = 0

  constructor(options: UnitOptions) {
    this.chain = options.chain
    this.deadline = options.deadline
    this.enclosing = options.enclosing
    this.slot = options.slot
    this.#external = options.signal
    this.#canPutBack = options.canPutBack ?? false
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get ended(): boolean {
    return this.#ended
  }

  /** To be called with each thing that a second run would do again: a commit, a plain write, a call, a push. */
  noteEffect(): void {
    this.#effects += 1
    this.enclosing?.unit.noteEffect()
  }

  /** Takes back what was noted of a call that has turned out not to have run. */
  forgetEffect(): void {
    this.#effects -= 1
    this.enclosing?.unit.forgetEffect()
  }

  /** What Strata knows of: nothing that was done past it, such as a request to another service. */
  get hasEffects(): boolean {
    return this.#effects > 0
  }

  /** True while it can be put back as if it had never begun. */
  get isUntouched(): boolean {
    return this.#canPutBack && !this.hasEffects
  }

  get id(): string {
    return this.chain[this.chain.length - 1]?.id ?? ''
  }

  get root(): string {
    return this.chain[0].id
  }

  /** Gives the unit up: `run` rejects with the reason at once, and every wait of it ends. */
  abort(reason: Error): void {
    this.#abort.abort(reason)
    this.#cut.reject(reason)
    for (const listener of [...this.#listeners]) listener()
  }

  /** Beside the signal, because each transaction listens for as long as it runs: on the signal that is 1 % of its time. */
  onAbort(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls `close` when the unit ends, or now if it has: what a wait brought too late must not stay open. */
  onEnd(close: () => Promise<void>): () => void {
    if (this.#ended) close().catch(() => {})
    else this.#closers.add(close)
    return () => this.#closers.delete(close)
  }

  /**
   * Runs the body and ends the unit. A body that outlives the deadline or the signal is left behind: its caller gets the
   * typed error at once, and every statement that it still tries is refused.
   */
  async run<T>(body: () => Promise<T>): Promise<T> {
    const onAbort = () => this.abort(aborted(this.#external?.reason))
    const disarm = at(this.deadline, () => this.abort(deadlineExceeded(this.chain)))
    this.#external?.addEventListener('abort', onAbort, { once: true })
    try {
      if (this.#external?.aborted) throw aborted(this.#external.reason)
      return await Promise.race([body(), this.#cut.promise])
    } finally {
      disarm()
      this.#external?.removeEventListener('abort', onAbort)
      await this.#end()
    }
  }

  async #end(): Promise<void> {
    this.#ended = true
    if (this.#closers.size === 0) return
    await Promise.allSettled([...this.#closers].map(close => close()))
  }
}

const aborted = (cause: unknown) => dbContextError('ABORTED', 'Unit of work was given up by its signal', { cause })

function deadlineExceeded(chain: Chain) {
  const { name, id } = chain[chain.length - 1] ?? chain[0]
  return dbContextError('DEADLINE_EXCEEDED', `Unit of work ${name} (${id}) did not end within its deadline`, {
    details: { chain },
  })
}
