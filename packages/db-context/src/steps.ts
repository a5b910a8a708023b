/**
 * What all attempts of one transaction have in common as to the calls that its body makes. Calls and inner transactions are
 * numbered in the order in which the body makes them, so that a body that runs again makes each under the id that it had.
 */
export class Steps {
  readonly id: string
  /** True where another process may make, or may have made, the calls of this transaction under the same ids. */
  readonly isShared: boolean
  readonly #around: Steps | undefined
  readonly #lost: string[] = []
  #starts: Map<string, number> | undefined
  /** Of inner transactions that this one has cut short: their calls are its own to end. */
  readonly #cut: Steps[] = []
  #abort: AbortController | undefined
  #ended: { readonly reason: unknown } | undefined

  constructor(id: string, { around, isShared = false }: { around?: Steps | undefined; isShared?: boolean } = {}) {
    this.id = id
    this.#around = around
    this.isShared = around?.isShared ?? isShared
  }

  /** Of the outermost transaction: one object as long as any of its calls can be made again. */
  get root(): Steps {
    return this.#around?.root ?? this
  }

  /** Aborted when the transaction has failed for good; another attempt waits for the calls of this one. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#ended) this.#abort.abort(this.#ended.reason)
    }
    return this.#abort.signal
  }

  /** What became of these calls is not known: the body cannot make them again, nor can one around it. */
  get lost(): readonly string[] {
    return this.#lost
  }

  lose(what: string): void {
    this.#lost.push(what)
    this.#around?.lose(what)
  }

  /** When the inner transaction of this id was first begun, in whichever attempt. */
  startOf(id: string): number {
    this.#starts ??= new Map()
    const start = this.#starts.get(id) ?? Date.now()
    this.#starts.set(id, start)
    return start
  }

  /** Ends the calls that still run. Those of an inner transaction that was cut short are left to the next attempt around it. */
  fail(reason: unknown, { isCut }: { readonly isCut: boolean }): void {
    if (isCut && this.#around) this.#around.#cut.push(this)
    else this.#end(reason)
  }

  succeed(): void {
    for (const inner of this.#cut) inner.#end(undefined)
  }

  #end(reason: unknown): void {
    this.#ended = { reason }
    this.#abort?.abort(reason)
    for (const inner of this.#cut) inner.#end(reason)
  }
}
