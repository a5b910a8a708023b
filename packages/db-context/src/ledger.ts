import type { Activity } from './datasource.ts'

/**
 * Who is doing what in this process at this moment: one entry a statement under way. It costs one object and two set
 * operations a statement, and is read only when somebody asks.
 */
export class Ledger {
  readonly #activities = new Set<Activity>()

  begin(activity: Activity): Activity {
    this.#activities.add(activity)
    return activity
  }

  end(activity: Activity): void {
    this.#activities.delete(activity)
  }

  snapshot(): Activity[] {
    return [...this.#activities].map(activity => ({ ...activity }))
  }
}
