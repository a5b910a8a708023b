import { dbContextError, type StrataError } from '@strata/db-context'
import type { AbstractCursor, AggregationCursor } from 'mongodb'
import type { MongoBinding, MongoHold } from '../door.ts'
import { type Call, type MongoTarget, send, whatOf } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import type { TimeLimit } from '../translate.ts'

/**
 * Gets the fetches of one cursor their connection.
 *
 * On a replica set each fetch is a statement of its own, and nothing is held between two. Behind a load balancer the
 * server's cursor pins its connection, so the permit is kept with it, until the cursor has no more batches: a fetch that
 * took another permit could wait for the one its own cursor holds. Inside a transaction that connection is the
 * transaction's, and each fetch one of its statements. The service pool ranks last: what keeps one of its connections could
 * wait for nothing more, so nothing does.
 */
export class Fetches {
  /** The cursor's own `maxTimeMS`; it spans all its batches, as the server counts it. */
  userMs: number | undefined
  readonly #raw: AbstractCursor
  readonly #binding: MongoBinding
  readonly #call: Call
  #limit: TimeLimit | undefined
  #hold: MongoHold | undefined
  #forget: (() => void) | undefined
  #ended: StrataError | undefined
  #tail: Promise<void> | undefined

  constructor(raw: AbstractCursor, binding: MongoBinding, call: Call) {
    this.#raw = raw
    this.#binding = binding
    this.#call = call
    this.userMs = call.options?.maxTimeMS
  }

  /** True when the next document, or the news that there is none, has to come from the server. */
  get needsServer(): boolean {
    return this.#raw.bufferedCount() === 0 && !this.#raw.closed && this.#raw.id?.isZero() !== true
  }

  /** True when an iteration keeps its connection between two fetches. */
  get pins(): boolean {
    const { pool, transaction, hold } = this.#binding
    return pool.topology === 'load-balanced' && transaction === undefined && hold !== undefined
  }

  /** True when a cursor would keep its connection and may not: it is read to its end in one fetch. */
  get isWhole(): boolean {
    const { pool, hold } = this.#binding
    return pool.topology === 'load-balanced' && hold === undefined
  }

  get isStarted(): boolean {
    return this.#limit !== undefined
  }

  /** @throws TRANSACTION_ENDED, CONTEXT_ENDED when the cursor was closed with what surrounded it */
  check(): void {
    if (this.#ended) throw this.#ended
  }

  /**
   * Runs `read` after what was asked of this cursor before: two fetches at once would take two permits for one connection,
   * and the driver would give both the same document.
   */
  async inTurn<T>(read: () => Promise<T>): Promise<T> {
    const before = this.#tail
    const { promise: tail, resolve: end } = Promise.withResolvers<void>()
    this.#tail = tail
    try {
      if (before !== undefined) await before
      return await read()
    } finally {
      end()
      if (this.#tail === tail) this.#tail = undefined
    }
  }

  /** False when the buffer alone can answer, with nobody before. */
  get needsTurn(): boolean {
    return this.#tail !== undefined || this.needsServer
  }

  /** Reads from the server, with all that the server may still have for it. Only in turn, as all below. */
  async fetch<T>(method: string, run: () => Promise<T>): Promise<T> {
    // Before the fetch, not after it: one that outlives its unit must still be seen to.
    this.#forget ??= this.#binding.onEnd(() => this.#end())
    this.check()
    const what = this.#what(method)
    try {
      const binding = this.#binding
      if (!this.pins || !binding.hold) return await binding.statement(what, target => this.#send(target, run))
      this.#hold ??= await binding.hold(what)
      return await this.#hold.statement(what, target => this.#send(target, run))
    } finally {
      this.#settle()
    }
  }

  /** Reads all that is left in one statement, which holds a pinned connection no longer than itself. */
  async fetchAll<T>(method: string, run: () => Promise<T>): Promise<T> {
    if (!this.pins || this.#hold) return await this.fetch(method, run)
    this.check()
    return await this.#binding.statement(this.#what(method), target => this.#send(target, run))
  }

  /** Runs what does not move the cursor. */
  async aside<T>(method: string, run: () => Promise<T>): Promise<T> {
    return await this.#binding.statement(this.#what(method), target => {
      const limit = this.#limit ?? this.#newLimit(target)
      return send(this.#call, { target, limit, run })
    })
  }

  /** Waits for the fetch under way, whose connection would else go back while an answer is still to come on it. */
  close(): Promise<void> {
    return this.inTurn(() => this.#close())
  }

  async #close(): Promise<void> {
    try {
      if (!this.#isOpen) await this.#raw.close()
      else if (this.#hold) await this.#hold.statement(this.#what('close'), () => this.#raw.close())
      else await this.#binding.statement(this.#what('close'), () => this.#raw.close())
    } catch {
      // Refused, because its unit has ended or the pool is taken: the server's cursor is closed all the same. That is one
      // short command which waits for no document.
      await this.#raw.close()
    } finally {
      this.#settle()
    }
  }

  rewind(): void {
    this.check()
    this.#raw.rewind()
    this.#limit = undefined
    this.#settle()
  }

  get #isOpen(): boolean {
    const { id, closed, killed } = this.#raw
    return id !== undefined && !id.isZero() && !closed && !killed
  }

  #what(method: string): string {
    return `${whatOf(this.#call)}.${method}`
  }

  #send<T>(target: MongoTarget, run: () => Promise<T>): Promise<T> {
    this.#limit ??= this.#newLimit(target)
    return send(this.#call, { target, limit: this.#limit, run, effect: isWriting(this.#raw) ? 'many' : 'read' })
  }

  #newLimit(target: MongoTarget): TimeLimit {
    const { operationTimeoutMs } = this.#call.door.settings
    const limit = timeLimit(operationTimeoutMs, this.userMs, target.deadline)
    this.#raw.maxTimeMS(limit.ms)
    return limit
  }

  /** Gives the permit back as soon as the server has no more. */
  #settle(): void {
    if (this.#isOpen) return
    this.#hold?.release()
    this.#hold = undefined
    this.#forget?.()
    this.#forget = undefined
  }

  async #end(): Promise<void> {
    const inside = this.#binding.transaction !== undefined
    this.#ended = dbContextError(
      inside ? 'TRANSACTION_ENDED' : 'CONTEXT_ENDED',
      `Cursor of ${whatOf(this.#call)} was closed when its ${inside ? 'transaction' : 'unit of work'} ended: read it inside`,
    )
    // Inside a transaction its statements have settled, and the commit must not overtake the close.
    const isSoon = inside || this.#tail === undefined
    const closed = this.inTurn(() => this.#raw.close().finally(() => this.#settle()))
    // A fetch under way ends by its own limit: who ended the unit does not wait for that, the permit does.
    if (isSoon) await closed
    else closed.catch(() => {})
  }
}

/** True for an aggregation that ends in a stage which writes. */
function isWriting(raw: AbstractCursor): boolean {
  if (!('pipeline' in raw)) return false
  const last = (raw as AggregationCursor).pipeline.at(-1)
  return last !== undefined && ('$out' in last || '$merge' in last)
}
