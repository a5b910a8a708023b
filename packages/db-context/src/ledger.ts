import type { Activity } from './datasource.ts'
import type { Transaction } from './transaction.ts'

/**
 * Who is doing what in this process at this moment: one entry a statement under way. It costs one object and two set
 * operations a statement, and is read only when somebody asks.
 */
export class Ledger {
  readonly #activities = new Set<Activity>()
  readonly #transactions = new Map<string, Transaction>()

  begin(activity: Activity): Activity {
    this.#activities.add(activity)
    return activity
  }

  end(activity: Activity): void {
    this.#activities.delete(activity)
  }

  opened(transaction: Transaction): void {
    this.#transactions.set(transaction.id, transaction)
  }

  closed(transaction: Transaction): void {
    if (this.#transactions.get(transaction.id) === transaction) this.#transactions.delete(transaction.id)
  }

  /** The transaction of this process that is open under this id. */
  transaction(id: string): Transaction | undefined {
    return this.#transactions.get(id)
  }

  snapshot(): Activity[] {
    return [...this.#activities].map(activity => ({ ...activity }))
  }
}
