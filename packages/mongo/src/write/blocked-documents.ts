/** How a wait in the line of a document ended. */
export type Turn = 'free' | 'first' | 'late'

interface Line {
  /** Those behind the write that is sent, in their order. */
  readonly waiting: Set<(turn: Turn) => void>
}

/**
 * The documents by which writes of this process are known to be blocked. Of each only one write is sent; the others wait
 * here, with no connection and no write ticket of the server: a few dozen blocked writers would else take all its tickets,
 * and with them those that the holder needs to commit.
 */
export class BlockedDocuments {
  readonly #lines = new Map<string, Line>()

  get size(): number {
    return this.#lines.size
  }

  has(key: string): boolean {
    return this.#lines.size > 0 && this.#lines.has(key)
  }

  /** Opens a line with the caller as the one that is sent. False when there is one already: then it has to wait. */
  tryOpen(key: string): boolean {
    if (this.#lines.has(key)) return false
    this.#lines.set(key, { waiting: new Set() })
    return true
  }

  /** Waits behind the write that is sent. `free`: send; `first`: send, in its place; `late`: `ms` passed first. */
  wait(key: string, ms: number): Promise<Turn> {
    const line = this.#lines.get(key)
    if (!line) return Promise.resolve('free')
    const { promise, resolve } = Promise.withResolvers<Turn>()
    const end = (turn: Turn) => {
      line.waiting.delete(end)
      clearTimeout(timer)
      resolve(turn)
    }
    const timer = setTimeout(end, Math.ceil(ms), 'late')
    line.waiting.add(end)
    return promise
  }

  /**
   * The end of the write that was sent. When it got through, the document is free and so are all who wait; else the next
   * takes its place.
   */
  leave(key: string, gotThrough: boolean): void {
    const line = this.#lines.get(key)
    if (!line) return
    const [next] = line.waiting
    if (next && !gotThrough) {
      next('first')
      return
    }
    this.#lines.delete(key)
    for (const end of [...line.waiting]) end('free')
  }
}
