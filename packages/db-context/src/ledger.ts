import type { Activity } from './datasource.ts'
import type { Transaction } from './transaction.ts'

/**
 * Who is doing what in this process at this moment: one entry a statement under way. It costs one object and two set
 * operations a statement, and is read only when somebody asks.
 */
export class Ledger {
  readonly #activities = new Set<Activity>()
  readonly #transactions = new Set<Transaction>()
  readonly #quiet = new Map<string, (() => void)[]>()

  begin(activity: Activity): Activity {
    this.#activities.add(activity)
    return activity
  }

  end(activity: Activity): void {
    this.#activities.delete(activity)
    if (this.#quiet.size === 0 || this.#isBusy(activity.unit)) return
    for (const resolve of this.#quiet.get(activity.unit) ?? []) resolve()
    this.#quiet.delete(activity.unit)
  }

  opened(transaction: Transaction): void {
    this.#transactions.add(transaction)
  }

  closed(transaction: Transaction): void {
    this.#transactions.delete(transaction)
  }

  /** The transaction of this process that is open under this id. Searched, because only a blocked write asks for one. */
  transaction(id: string): Transaction | undefined {
    for (const transaction of this.#transactions) if (transaction.id === id) return transaction
    return undefined
  }

  /** Resolves when nothing is under way for a unit of work that has ended: within the bounds of its statements. */
  async quiet(unit: string): Promise<void> {
    if (!this.#isBusy(unit)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#quiet.set(unit, [...(this.#quiet.get(unit) ?? []), resolve])
    await promise
  }

  #isBusy(unit: string): boolean {
    for (const activity of this.#activities) if (activity.unit === unit) return true
    return false
  }

  snapshot(): Activity[] {
    return [...this.#activities].map(activity => ({ ...activity }))
  }
}
