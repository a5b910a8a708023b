import { setTimeout as pause } from 'node:timers/promises'
import type { Ledger } from './ledger.ts'

const lookMs = 200

/** Sees in the data which transfers have ended, whoever ended them. */
export class Watch {
  readonly #transfers: number
  readonly #ends = new Map<string, PromiseWithResolvers<void>>()
  readonly #quiet = Promise.withResolvers<void>()
  #count = 0
  #quietAt: number | undefined
  #quietMs: number | undefined

  constructor(transfers: number) {
    this.#transfers = transfers
  }

  get isOver(): boolean {
    return this.#count === this.#transfers
  }

  /** Resolves when all have been begun: nobody begins another, and nobody is killed any more. */
  get quiet(): Promise<void> {
    return this.#quiet.promise
  }

  get isQuiet(): boolean {
    return this.#quietAt !== undefined
  }

  /** How long it took from then until all had ended. */
  get quietMs(): number {
    return this.#quietMs ?? 0
  }

  async ended(id: string): Promise<void> {
    await this.#endOf(id).promise
  }

  async run(ledger: Pick<Ledger, 'begun' | 'ended'>): Promise<void> {
    while (!this.isOver) {
      if (!this.isQuiet && (await ledger.begun()).size === this.#transfers) this.#calmDown()
      const ids = await ledger.ended()
      this.#count = ids.length
      for (const id of ids) this.#endOf(id).resolve()
      if (!this.isOver) await pause(lookMs)
    }
    if (!this.isQuiet) this.#calmDown()
    this.#quietMs = performance.now() - (this.#quietAt ?? 0)
  }

  #calmDown(): void {
    this.#quietAt = performance.now()
    this.#quiet.resolve()
  }

  #endOf(id: string): PromiseWithResolvers<void> {
    const known = this.#ends.get(id) ?? Promise.withResolvers<void>()
    this.#ends.set(id, known)
    return known
  }
}
