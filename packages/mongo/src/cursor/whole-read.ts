import type { AbstractCursor } from 'mongodb'

/** What is read of a cursor: the driver's own, or all of it at once. */
export type Source = Pick<
  AbstractCursor,
  'next' | 'tryNext' | 'hasNext' | 'bufferedCount' | 'readBufferedDocuments' | 'closed'
>

/**
 * Reads a cursor to its end with its first document, so that between two of them it keeps no connection: what runs there may
 * wait for anything. The price is that all documents are in memory at once.
 */
export class WholeRead implements Source {
  readonly #raw: AbstractCursor
  #docs: unknown[] | undefined
  #given = 0

  constructor(raw: AbstractCursor) {
    this.#raw = raw
  }

  get closed(): boolean {
    return this.#docs ? this.bufferedCount() === 0 : this.#raw.closed
  }

  async next(): Promise<unknown> {
    await this.#read()
    const [doc = null] = this.readBufferedDocuments(1)
    return doc
  }

  async tryNext(): Promise<unknown> {
    return await this.next()
  }

  async hasNext(): Promise<boolean> {
    await this.#read()
    return this.bufferedCount() > 0
  }

  bufferedCount(): number {
    return (this.#docs?.length ?? 0) - this.#given
  }

  readBufferedDocuments(count = this.bufferedCount()): unknown[] {
    const docs = this.#docs?.slice(this.#given, this.#given + count) ?? []
    this.#given += docs.length
    return docs
  }

  rewind(): void {
    this.#docs = undefined
    this.#given = 0
  }

  async #read(): Promise<void> {
    this.#docs ??= await this.#raw.toArray()
  }
}
