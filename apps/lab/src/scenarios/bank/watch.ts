import { setTimeout as pause } from 'node:timers/promises'
import type { Ledger } from './ledger.ts'

const lookMs = 200

/** Sees in the data which transfers have ended, whoever ended them. */
export class Watch {
  readonly #transfers: number
  readonly #ends = new Map<string, PromiseWithResolvers<void>>()
  readonly #over = Promise.withResolvers<void>()
  #count = 0

  constructor(transfers: number) {
    this.#transfers = transfers
  }

  get isOver(): boolean {
    return this.#count === this.#transfers
  }

  /** Resolves when all have ended. */
  get over(): Promise<void> {
    return this.#over.promise
  }

  async ended(id: string): Promise<void> {
    await this.#endOf(id).promise
  }

  async run(ledger: Pick<Ledger, 'ended'>): Promise<void> {
    while (!this.isOver) {
      const ids = await ledger.ended()
      this.#count = ids.length
      for (const id of ids) this.#endOf(id).resolve()
      if (!this.isOver) await pause(lookMs)
    }
    this.#over.resolve()
  }

  #endOf(id: string): PromiseWithResolvers<void> {
    const known = this.#ends.get(id) ?? Promise.withResolvers<void>()
    this.#ends.set(id, known)
    return known
  }
}
