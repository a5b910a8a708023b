/** Committed values, and who has written which of them without having committed yet: one document a key. */
export class FakeStore {
  readonly #values = new Map<string, number>()
  readonly #writers = new Map<string, { owner: object; released: Promise<void>; release: () => void }>()

  read(key: string): number {
    return this.#values.get(key) ?? 0
  }

  /** The promise of the key's release by another owner; undefined when it is free or one's own. */
  blockedBy(key: string, owner: object): Promise<void> | undefined {
    const writer = this.#writers.get(key)
    return writer && writer.owner !== owner ? writer.released : undefined
  }

  lock(key: string, owner: object): void {
    if (this.#writers.get(key)?.owner === owner) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#writers.set(key, { owner, released: promise, release: resolve })
  }

  apply(changes: ReadonlyMap<string, number>): void {
    for (const [key, value] of changes) this.#values.set(key, value)
  }

  unlock(owner: object): void {
    for (const [key, writer] of this.#writers) {
      if (writer.owner !== owner) continue
      this.#writers.delete(key)
      writer.release()
    }
  }
}
