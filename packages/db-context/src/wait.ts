import type { Activity } from './datasource.ts'
import { type Deadline, deadlineIn } from './deadline.ts'
import type { LevelPool } from './pool.ts'
import { levelOf, type Rank } from './rank.ts'
import { dbContextError } from './registry.ts'
import { findHold, type Scope } from './scope.ts'

/**
 * How long one piece of work may still wait for connections of its pool, in milliseconds: a write that lets go of its
 * connection and queues again, or a transaction that is run again, does not start its time anew.
 */
export class PoolWait {
  #leftMs: number
  #spentMs = 0

  constructor(timeoutMs: number) {
    this.#leftMs = timeoutMs
  }

  /** What has been waited so far. */
  get spentMs(): number {
    return this.#spentMs
  }

  async within<T>(wait: (deadline: Deadline) => Promise<T>): Promise<T> {
    const since = performance.now()
    try {
      return await wait(deadlineIn(this.#leftMs))
    } finally {
      const waitedMs = performance.now() - since
      this.#spentMs += waitedMs
      this.#leftMs = Math.max(0, this.#leftMs - waitedMs)
    }
  }
}

/**
 * Refuses a wait that a holder could never be sure to end: always, not only when the resource is taken at this moment,
 * so that a test with one caller finds it.
 *
 * @throws HOLD_AND_WAIT, or LEVEL_ORDER for an earlier datasource of the same level
 */
export function refuseHeld(scope: Scope, wanted: { readonly rank: Rank; readonly what: () => string }): void {
  const hold = findHold(scope, wanted.rank)
  if (!hold) return
  const what = wanted.what()
  const { id: unit, chain } = scope.unit
  const details = { holds: hold.what, waitsFor: what, chain }
  if (unit === hold.unit && isEarlierDatasource(wanted.rank, hold.rank)) {
    throw dbContextError(
      'LEVEL_ORDER',
      `Waiting for ${what} while holding ${hold.what}, which ranks later: ` +
        'use the datasources of a level in declared order, or go one level deeper with switchDbIsolate',
      { details },
    )
  }
  throw dbContextError(
    'HOLD_AND_WAIT',
    `Waiting for ${what} while holding ${hold.what}: go one level deeper with switchDbIsolate, ` +
      'or start the work after the holder has ended',
    { details },
  )
}

const isEarlierDatasource = (wanted: Rank, held: Rank) => wanted < held && levelOf(wanted) === levelOf(held)

export function poolTimeout(
  pool: LevelPool,
  ended: { readonly why: 'timeout' | 'aborted'; readonly activity: Activity; readonly reason: unknown },
): Error {
  if (ended.why === 'aborted') {
    return dbContextError('ABORTED', `Wait for a connection was given up by its signal: ${ended.activity.what}`, {
      outcome: 'not-applied',
      cause: ended.reason,
    })
  }
  const waitedMs = Math.round(performance.now() - ended.activity.since)
  const { max, inUse, waiting } = pool.permits
  return dbContextError(
    'POOL_TIMEOUT',
    `No connection of ${pool.datasources.join('+')} at level ${pool.level} came free within ${waitedMs} ms ` +
      `(${inUse} of ${max} in use, ${waiting} waiting): ${ended.activity.what}. Raise the pool, or shorten what holds it`,
    { details: { datasource: ended.activity.datasource, level: pool.level, waitedMs, max, inUse, waiting } },
  )
}
