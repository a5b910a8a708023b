import type { Row, RowFault } from './row.ts'
import type { Store } from './store.ts'

/** A message that could not be published and never will be as it is. */
export interface SetAsideRow {
  readonly id: string
  readonly job: string
  readonly queue: string
  readonly key?: string
  readonly fault: RowFault
}

/**
 * Rows that cannot be published, for a person to decide on. One blocks those that come after it under its key, and no others.
 */
export interface SetAside {
  /** Oldest first, 100 by default. `id` is the row's, not the job's. */
  list(options?: { readonly limit?: number }): Promise<SetAsideRow[]>
  /** Lets them be published again, all of them without ids. @returns how many */
  retry(ids?: readonly string[]): Promise<number>
  /** Removes them: their jobs are never sent, and what waits behind them under their keys goes on. @returns how many */
  drop(ids: readonly string[]): Promise<number>
}

const listMax = 100

export const createSetAside = (store: Store): SetAside => ({
  list: async ({ limit = listMax } = {}) => (await store.listSetAside(limit)).map(describe),
  retry: ids => store.retry(ids ? { _id: { $in: [...ids] } } : {}),
  drop: ids => store.drop(ids),
})

function describe({ _id, job, queue, key, fault = { code: 'unknown', message: '' } }: Row): SetAsideRow {
  return { id: _id, job, queue, fault, ...(key !== undefined && { key }) }
}
