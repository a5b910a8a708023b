import type { DatasourceTransaction } from './datasource.ts'
import type { Deadline } from './deadline.ts'
import type { Hold } from './rank.ts'
import { dbContextError } from './registry.ts'
import { Writes } from './writes.ts'

export type TransactionState = 'open' | 'ending' | 'committed' | 'rolled-back' | 'unknown'

export interface TransactionOptions {
  readonly id: string
  readonly name: string | undefined
  readonly datasource: string
  readonly level: number
  readonly deadline: Deadline
  /** Of the unit of work: when it is given up, so is the transaction. */
  readonly unitSignal: AbortSignal
  readonly hold: Hold
  readonly handle: DatasourceTransaction
}

/** One attempt of a transaction: the statements in it, one at a time, and what is to happen at its end. */
export class Transaction {
  readonly id: string
  readonly name: string | undefined
  readonly datasource: string
  readonly level: number
  readonly deadline: Deadline
  readonly unitSignal: AbortSignal
  readonly hold: Hold
  readonly handle: DatasourceTransaction
  /** Effects outside this transaction that a second run of its body would repeat: awaited calls, inner commits. */
  readonly effects: string[] = []
  readonly afterCommit: (() => unknown)[] = []
  readonly afterRollback: (() => unknown)[] = []
  /** What it holds until it ends. */
  readonly writes = new Writes()
  /** Why a conflict that outlasts every retry was probably no stranger's. */
  suspicion: Error | undefined
  state: TransactionState = 'open'
  readonly #abort = new AbortController()
  readonly #closers = new Set<() => Promise<void>>()
  #tail: Promise<unknown> = Promise.resolve()
  #closed = false
  #failure: { readonly cause: unknown } | undefined
  #serverFailure: { readonly cause: unknown } | undefined

  constructor(options: TransactionOptions) {
    this.id = options.id
    this.name = options.name
    this.datasource = options.datasource
    this.level = options.level
    this.deadline = options.deadline
    this.unitSignal = options.unitSignal
    this.hold = options.hold
    this.handle = options.handle
  }

  /** Aborted when the transaction is rolled back. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** True from begin until the connection is given back. */
  get isOpen(): boolean {
    return this.state === 'open' || this.state === 'ending'
  }

  /** The first failure of a part, once there was one: the whole can then only be rolled back. */
  get failure(): { readonly cause: unknown } | undefined {
    return this.#failure
  }

  fail(cause: unknown): void {
    this.#failure ??= { cause }
  }

  /**
   * The first error of a statement or the commit of this transaction. Only that may lead to another run of the body: an
   * error of deeper work that the body passes on may look as transient, and is another transaction's.
   */
  get serverFailure(): { readonly cause: unknown } | undefined {
    return this.#serverFailure
  }

  failOnServer(cause: unknown, { endsTransaction }: { endsTransaction: boolean }): void {
    this.#serverFailure ??= { cause }
    if (endsTransaction) this.fail(cause)
  }

  /** Calls `close` before the transaction ends, or now if it has. */
  onEnd(close: () => Promise<void>): () => void {
    if (this.#closed) close().catch(() => {})
    else this.#closers.add(close)
    return () => this.#closers.delete(close)
  }

  /** @throws TRANSACTION_ENDED */
  check(): void {
    if (this.state !== 'open') throw this.#ended()
  }

  /**
   * Runs a statement after all that were issued before it: the server gives two at once on one session no defined
   * meaning, so `Promise.all` is put in a row.
   */
  statement<T>(run: () => Promise<T>): Promise<T> {
    if (this.state !== 'open') return Promise.reject(this.#ended())
    const turn = this.#tail.then(() => {
      if (this.signal.aborted || !this.isOpen) throw this.#ended()
      return run()
    })
    this.#tail = turn.catch(() => {})
    return turn
  }

  /**
   * Takes no more statements and waits for those already issued. After a failure (`cause` given) the ones that have not
   * begun are refused instead.
   */
  async close(failure?: { readonly cause: unknown }): Promise<void> {
    this.state = 'ending'
    if (failure) {
      this.fail(failure.cause)
      this.#abort.abort(failure.cause)
    }
    await this.#tail
    this.#closed = true
    const closers = [...this.#closers]
    this.#closers.clear()
    await Promise.allSettled(closers.map(close => close()))
  }

  #ended() {
    return dbContextError(
      'TRANSACTION_ENDED',
      `Statement came after transaction ${this.name ?? this.id} had ended: await every statement inside its body`,
      { details: { transaction: this.id, state: this.state }, cause: this.#failure?.cause },
    )
  }
}
