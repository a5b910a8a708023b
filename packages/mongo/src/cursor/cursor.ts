import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import type {
  AbstractCursor,
  AggregationCursor,
  CountOptions,
  Document,
  ExplainCommandOptions,
  ExplainVerbosityLike,
  FindCursor,
} from 'mongodb'
import type { MongoBinding } from '../door.ts'
import { mongoError } from '../errors.ts'
import { type Call, type GivenOptions, refuseSession, whatOf } from '../statement/call.ts'
import { Fetches } from './fetches.ts'
import { cursorMethods } from './methods.ts'
import { type Source, WholeRead } from './whole-read.ts'

/** A cursor of the driver whose fetches are bound; what only sets options is added to the prototype from the table. */
export class Cursor {
  readonly #raw: AbstractCursor
  readonly #whole: WholeRead
  readonly #fetches: Fetches
  readonly #call: Call
  #isMapped = false

  constructor(raw: AbstractCursor, { binding, call }: { binding: MongoBinding; call: Call }) {
    this.#raw = raw
    this.#whole = new WholeRead(raw)
    this.#call = call
    this.#fetches = new Fetches(raw, binding, call)
  }

  static rawOf(cursor: Cursor): AbstractCursor {
    cursor.#fetches.check()
    return cursor.#raw
  }

  static whatOf(cursor: Cursor): string {
    return whatOf(cursor.#call)
  }

  get closed(): boolean {
    return this.#source.closed
  }

  bufferedCount(): number {
    return this.#source.bufferedCount()
  }

  readBufferedDocuments(count?: number): unknown[] {
    this.#fetches.check()
    return this.#source.readBufferedDocuments(count)
  }

  async next(): Promise<unknown> {
    return await this.#read('next', () => this.#source.next())
  }

  async tryNext(): Promise<unknown> {
    return await this.#read('tryNext', () => this.#source.tryNext())
  }

  async hasNext(): Promise<boolean> {
    return await this.#read('hasNext', () => this.#source.hasNext())
  }

  async forEach(iterator: (doc: unknown) => unknown): Promise<void> {
    for await (const doc of this) if (iterator(doc) === false) break
  }

  async toArray(): Promise<unknown[]> {
    if (this.#fetches.pins && !this.#fetches.isStarted) {
      return await this.#fetches.inTurn(() => this.#fetches.fetchAll('toArray', () => this.#raw.toArray()))
    }
    const docs: unknown[] = []
    try {
      while (!this.closed && (await this.hasNext())) {
        if (this.#isMapped) docs.push(await this.#source.next())
        else for (const doc of this.#source.readBufferedDocuments()) docs.push(doc)
      }
    } finally {
      await this.close()
    }
    return docs
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, void> {
    try {
      while (!this.closed) {
        const doc = await this.next()
        if (doc === null) return
        yield doc
      }
      this.#fetches.check()
    } finally {
      await this.close()
    }
  }

  stream(): Readable {
    // What reads a stream is often a socket, and knows nothing of the unit of work that the documents belong to.
    const inside = AsyncLocalStorage.snapshot()
    const docs = this[Symbol.asyncIterator]()
    const iterator: AsyncIterableIterator<unknown> = {
      next: () => inside(() => docs.next()),
      return: () => inside(() => docs.return()),
      [Symbol.asyncIterator]: () => iterator,
    }
    return Readable.from(iterator, { objectMode: true, highWaterMark: 1 })
  }

  async close(): Promise<void> {
    await this.#fetches.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  rewind(): void {
    this.#fetches.rewind()
    this.#whole.rewind()
  }

  map(transform: (doc: unknown) => unknown): this {
    Cursor.rawOf(this).map(transform)
    this.#isMapped = true
    return this
  }

  maxTimeMS(value: number): this {
    // Also checks the value, and that the cursor has not begun. The limit that is sent is set at the first fetch.
    Cursor.rawOf(this).maxTimeMS(value)
    this.#fetches.userMs = value
    return this
  }

  addQueryModifier(name: string, value: string | boolean | number | Document): this {
    if (name === '$maxTimeMS') return this.maxTimeMS(Number(value))
    const raw = Cursor.rawOf(this) as FindCursor
    raw.addQueryModifier(name, value)
    return this
  }

  async explain(verbosity?: ExplainVerbosityLike | ExplainCommandOptions): Promise<Document> {
    const raw = Cursor.rawOf(this) as FindCursor | AggregationCursor
    return await this.#fetches.aside('explain', () =>
      verbosity === undefined ? raw.explain() : raw.explain(verbosity),
    )
  }

  async count(options?: CountOptions): Promise<number> {
    refuseSession(options as GivenOptions | undefined, `${whatOf(this.#call)}.count`)
    const raw = Cursor.rawOf(this) as FindCursor
    return await this.#fetches.aside('count', () => raw.count(options))
  }

  on(event: 'close', listener: () => void): this {
    this.#raw.on(event, listener)
    return this
  }

  once(event: 'close', listener: () => void): this {
    this.#raw.once(event, listener)
    return this
  }

  off(event: 'close', listener: () => void): this {
    this.#raw.off(event, listener)
    return this
  }

  /** Not kept: which it is shows when the pool has started, and that may be with the first fetch. */
  get #source(): Source {
    return this.#fetches.isWhole ? this.#whole : this.#raw
  }

  async #read<T>(method: string, run: () => Promise<T>): Promise<T> {
    if (!this.#fetches.needsTurn) {
      this.#fetches.check()
      return await run()
    }
    return await this.#fetches.inTurn(async () => {
      this.#fetches.check()
      return await (this.#fetches.needsServer ? this.#fetches.fetch(method, run) : run())
    })
  }
}

function callRaw(cursor: Cursor, method: string, args: readonly unknown[]): unknown {
  const raw = Cursor.rawOf(cursor)
  const member: unknown = Reflect.get(raw, method)
  if (typeof member !== 'function') throw new TypeError(`A cursor of ${Cursor.whatOf(cursor)} has no ${method}`)
  return member.apply(raw, args)
}

const makers = {
  property: (method: string) => ({
    get(this: Cursor) {
      return Reflect.get(Cursor.rawOf(this), method)
    },
  }),
  local: (method: string) => ({
    value(this: Cursor, ...args: unknown[]) {
      return callRaw(this, method, args)
    },
  }),
  chain: (method: string) => ({
    value(this: Cursor, ...args: unknown[]) {
      callRaw(this, method, args)
      return this
    },
  }),
  refused: (method: string) => ({
    value(this: Cursor) {
      const what = `${Cursor.whatOf(this)}.${method}`
      throw mongoError('SERVICE_ONLY', `${what} is not reachable on a bound cursor`, { details: { what } })
    },
  }),
}

for (const [method, member] of Object.entries(cursorMethods)) {
  if (member === 'own' || member === 'internal') continue
  Object.defineProperty(Cursor.prototype, method, makers[member](method))
}
