import type { DatasourceTransaction, ErrorClass } from './datasource.ts'
import type { Deadline } from './deadline.ts'
import type { Hook, HookOwner } from './hooks.ts'
import type { Outer } from './outer.ts'
import type { Hold } from './rank.ts'
import { dbContextError } from './registry.ts'
import type { Steps } from './steps.ts'
import type { TransactionTerms } from './terms.ts'
import { Writes } from './writes.ts'

export type TransactionState = 'open' | 'ending' | 'committed' | 'rolled-back' | 'unknown'

export interface TransactionOptions {
  readonly id: string
  readonly startedAt: number
  readonly name: string | undefined
  readonly datasource: string
  readonly level: number
  readonly terms: TransactionTerms
  readonly deadline: Deadline
  /** Of the unit of work and of a transaction around this one: when they are given up, so is this. */
  readonly outer: Outer
  readonly hold: Hold
  readonly handle: DatasourceTransaction
  readonly steps: Steps
}

/** Why a transaction can only be rolled back. */
export interface TransactionFailure {
  readonly cause: unknown
  /** In words, for `ROLLBACK_ONLY`. */
  readonly why: string
}

/** One attempt of a transaction: the statements in it, one at a time, and what is to happen at its end. */
export class Transaction implements HookOwner {
  /** The same in each attempt, as `startedAt` is: a body that runs again can use them and do the same again. */
  readonly id: string
  /** Wall clock of the first attempt, in milliseconds. */
  readonly startedAt: number
  readonly name: string | undefined
  readonly datasource: string
  readonly level: number
  readonly terms: TransactionTerms
  readonly deadline: Deadline
  readonly outer: Outer
  readonly hold: Hold
  readonly handle: DatasourceTransaction
  readonly steps: Steps
  /** Effects outside this transaction that a second run of its body would repeat: inner commits. */
  readonly effects: string[] = []
  /** Effects that a second run does not repeat: awaited calls, whose results it is given. */
  readonly calls: string[] = []
  /** Parts of the body that run last, in the transaction. */
  readonly beforeCommit: Hook[] = []
  /** Jobs that are sent after the commit, by one of `afterCommit` each. */
  readonly pushes: { readonly job: string; readonly id: string }[] = []
  readonly afterCommit: Hook[] = []
  readonly afterRollback: Hook[] = []
  /** What it holds until it ends. */
  readonly writes = new Writes()
  /** Why a conflict that outlasts every retry was probably no stranger's. */
  suspicion: Error | undefined
  state: TransactionState = 'open'
  /** Made when it is asked for: most transactions have nobody who listens, and one costs as much as a statement. */
  #abort: AbortController | undefined
  readonly #closers = new Set<() => Promise<void>>()
  /** Attempts of transactions of their own that the body has begun deeper, or on another datasource. */
  readonly #inner = new Set<Promise<unknown>>()
  #innerAbort: AbortController | undefined
  /** The end of the last statement, once there was one; none under way where it is undefined. */
  #tail: Promise<unknown> | undefined
  #stepCount = 0
  #heldUp: Set<unknown> | undefined
  #rolledBack: { readonly cause: unknown } | undefined
  #closed = false
  #isGivenUp = false
  #failure: TransactionFailure | undefined
  #serverFailure: { readonly cause: unknown; readonly transient: boolean } | undefined

  constructor(options: TransactionOptions) {
    this.id = options.id
    this.startedAt = options.startedAt
    this.name = options.name
    this.datasource = options.datasource
    this.level = options.level
    this.terms = options.terms
    this.deadline = options.deadline
    this.outer = options.outer
    this.hold = options.hold
    this.handle = options.handle
    this.steps = options.steps
  }

  /** Aborted when the transaction is rolled back. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#rolledBack) this.#abort.abort(this.#rolledBack.cause)
    }
    return this.#abort.signal
  }

  /** The id of the call, or inner transaction, that the body makes now. */
  nextStep(): string {
    const index = this.#stepCount
    this.#stepCount += 1
    return `${this.steps.id}.${index}`
  }

  /** True from begin until the connection is given back. */
  get isOpen(): boolean {
    return this.state === 'open' || this.state === 'ending'
  }

  /** The first failure of a part, once there was one: the whole can then only be rolled back. */
  get failure(): TransactionFailure | undefined {
    return this.#failure
  }

  fail(cause: unknown, why = 'a part of it failed and the error was caught'): void {
    this.#failure ??= { cause, why }
  }

  /**
   * The first error of a statement or the commit of this transaction. Only that may lead to another run of the body: an
   * error of deeper work that the body passes on may look as transient, and is another transaction's.
   */
  get serverFailure(): { readonly cause: unknown } | undefined {
    return this.#serverFailure
  }

  failOnServer(
    cause: unknown,
    { endsTransaction, transient }: Pick<ErrorClass, 'endsTransaction' | 'transient'>,
  ): void {
    this.#serverFailure ??= { cause, transient }
    if (!endsTransaction) return
    this.fail(cause)
    this.#isGivenUp = true
  }

  /** True where its server has it no more: a later statement could only fail, with an error that hides the first. */
  get isGivenUp(): boolean {
    return this.#isGivenUp
  }

  /** True where the first failure says that the same work may succeed if it is begun anew. */
  get isTransientFailure(): boolean {
    const cause = this.#failure?.cause
    if (cause === this.#serverFailure?.cause && this.#serverFailure?.transient) return true
    return cause instanceof Error && 'transient' in cause && cause.transient === true
  }

  /** True for the error of work that the body awaited, and that a document held up for too long. */
  isHeldUpBy(error: unknown): boolean {
    return this.#heldUp?.has(error) ?? false
  }

  noteHeldUp(error: unknown): void {
    this.#heldUp ??= new Set()
    this.#heldUp.add(error)
  }

  /**
   * Runs an attempt of a transaction that the body has begun. It is cut short when this transaction ends first, and
   * {@link innerEnded} waits for it: one that committed later would not be seen as an effect, and be repeated.
   */
  async enclose<T>(run: () => Promise<T>): Promise<T> {
    this.check()
    const running = run()
    const settled = running.catch(() => {})
    this.#inner.add(settled)
    try {
      return await running
    } finally {
      this.#inner.delete(settled)
    }
  }

  /** Aborted when this transaction takes no more: what it encloses is to end as well. */
  get innerSignal(): AbortSignal {
    this.#innerAbort ??= new AbortController()
    return this.#innerAbort.signal
  }

  /** Resolves when all that it encloses is over; no promise where there is nothing. */
  innerEnded(): Promise<unknown> | undefined {
    return this.#inner.size > 0 ? Promise.all(this.#inner) : undefined
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
    const turn = this.#tail !== undefined ? this.#tail.then(() => this.#turn(run)) : run()
    const over = () => {
      if (this.#tail === tail) this.#tail = undefined
    }
    const tail: Promise<void> = turn.then(over, over)
    this.#tail = tail
    return turn
  }

  #turn<T>(run: () => Promise<T>): Promise<T> {
    if (this.#rolledBack || !this.isOpen) throw this.#ended()
    return run()
  }

  /**
   * Takes no more statements and waits for those already issued. After a failure (`cause` given) the ones that have not
   * begun are refused instead. No promise where there is nothing to wait for.
   */
  close(failure?: { readonly cause: unknown }): Promise<unknown> | undefined {
    this.state = 'ending'
    if (failure) {
      this.fail(failure.cause)
      this.#rolledBack = failure
      this.#abort?.abort(failure.cause)
    }
    this.#innerAbort?.abort(this.#outlived())
    return this.#tail !== undefined ? this.#tail.then(() => this.#runClosers()) : this.#runClosers()
  }

  #runClosers(): Promise<unknown> | undefined {
    this.#closed = true
    if (this.#closers.size === 0) return undefined
    const closers = [...this.#closers]
    this.#closers.clear()
    return Promise.allSettled(closers.map(close => close()))
  }

  #outlived() {
    return dbContextError(
      'TRANSACTION_ENDED',
      `Transaction was begun in transaction ${this.name ?? this.id} and outlived it, so it is rolled back: await it there`,
      { details: { transaction: this.id }, cause: this.#failure?.cause },
    )
  }

  #ended() {
    return dbContextError(
      'TRANSACTION_ENDED',
      `Statement came after transaction ${this.name ?? this.id} had ended: await every statement inside its body`,
      { details: { transaction: this.id, state: this.state }, cause: this.#failure?.cause },
    )
  }
}
