import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Binary, ClientSession, MongoClient } from 'mongodb'
import { outsideAnyContext } from '../outside-any-context.ts'
import { SessionBook } from './session-book.ts'

/** A process that has given no sign of life for so long, by the server's clock, is taken for dead. */
const leaseMs = 10_000

/** Four signs of life a lease; a dead process is found at the latest one of these after its lease. */
const beatMs = 2500

/** More are used one after the other only; one that was dropped is written down again when it is used. */
const sessionsMax = 1000

/**
 * The server sessions of this process in which it runs transactions, written down before the first of each, and the end of
 * those that dead processes have left open. Without it a process that is killed inside a transaction leaves its
 * documents locked until the server's own limit, a minute or more. A session is used again and again, so a transaction
 * costs nothing more in the long run.
 */
export class Sessions {
  readonly #id = randomUUID()
  /** Each a server session's own object, which the driver keeps as long as it uses the session. */
  readonly #known = new Set<Binary>()
  #beating: AbortController | undefined
  #beatAt = 0

  /**
   * Begins to give signs of life and to look for the dead, at once the first time. Call the result to end it. The first
   * session of each of `levels` is written down with that, so that a lone caller's first transaction has nothing to wait for.
   */
  async start(client: MongoClient, levels: readonly MongoClient[]): Promise<() => Promise<void>> {
    this.#beating?.abort()
    await Promise.all(levels.map(level => this.#foresee(level)))
    const beating = new AbortController()
    const book = new SessionBook(client)
    await this.#write(book)
    await book.killExpired()
    this.#beating = beating
    this.#beatAt = performance.now()
    const ended = outsideAnyContext(() => this.#beat(book, beating.signal))
    return async () => {
      beating.abort()
      await ended
      await book.remove(this.#id)
    }
  }

  /**
   * Writes the session down, with a connection that the transaction has already. No promise where that is done, or where
   * nobody looks for the dead.
   */
  register(session: ClientSession, client: MongoClient): Promise<void> | undefined {
    const id = session.id?.id
    if (!this.#beating || !id) return undefined
    return this.#known.has(id) ? undefined : this.#add(id, client)
  }

  async #foresee(client: MongoClient): Promise<void> {
    const session = client.startSession()
    if (session.id) this.#known.add(session.id.id)
    await session.endSession()
  }

  async #add(id: Binary, client: MongoClient): Promise<void> {
    const book = new SessionBook(client)
    const isThere = await book.add(this.#id, id)
    const [oldest] = this.#known
    if (this.#known.size >= sessionsMax && oldest !== undefined) this.#known.delete(oldest)
    this.#known.add(id)
    if (!isThere) await this.#write(book)
  }

  /** A beat that fails is made good by the next one: the lease outlives three of them. */
  async #beat(book: SessionBook, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(beatMs, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      try {
        if (!(await book.renew(this.#id, leaseMs))) await this.#write(book)
        // After a silence of the store everybody's lease is over: who has come through it gets the time to say so.
        const isSteady = performance.now() - this.#beatAt < 2 * beatMs
        this.#beatAt = performance.now()
        if (isSteady) await book.killExpired()
      } catch {}
    }
  }

  async #write(book: SessionBook): Promise<void> {
    const sessions = [...this.#known]
    await book.write({ _id: this.#id, host: hostname(), pid: process.pid, sessions }, leaseMs)
  }
}
