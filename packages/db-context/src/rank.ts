/**
 * The place of a resource in the one order: lane 0 < locks < pool 0 < lane 1 < pool 1 < … < service pool. Whoever holds a resource of
 * rank r waits only for resources above r, so no circle of waits can close.
 */
export type Rank = number

/** Datasources of one level rank in declared order; there are never this many. */
const ranksPerLevel = 1000

export const laneRank = (level: number): Rank => level * ranksPerLevel

export const poolRank = (level: number, order: number): Rank => level * ranksPerLevel + 1 + order

/**
 * Of all locks over processes, whose names say the rest. Below everything that is waited for while one is kept: by level it would rank above
 * the lane whose slots its own waiters keep, and its holder may call into that lane.
 */
export const lockRank: Rank = 0.5

/** The level of a rank; Infinity for the service pool. */
export const levelOf = (rank: Rank): number => Math.floor(rank / ranksPerLevel)

/** Something that a scope keeps while code inside it goes on. */
export interface Hold {
  readonly rank: Rank
  /** The unit of work that holds it. */
  readonly unit: string
  /** In words, for the error of whoever would wait behind it. */
  readonly what: string
  /** Names of the locks over processes that this is, in order; absent for anything else. */
  readonly locks?: readonly string[]
}
