import type { Seed } from '@strata/testkit'

/** A transaction as the rig orders it. */
export interface OutboxPlan {
  readonly id: string
  /** The key that all its pushes have, or none. */
  readonly key: string | undefined
  readonly pushes: number
  /** Its body throws once it has pushed everything. */
  readonly isRefused: boolean
}

export interface OutboxLoad {
  readonly transactions: number
  readonly keys: number
}

const refusedPercent = 20
const keyedPercent = 60

const chance = (seed: Seed, percent: number) => seed.integer(1, 100) <= percent

export const keyNames = (keys: number): string[] => Array.from({ length: keys }, (_, index) => `key-${index}`)

/** Draws the transactions of a round. */
export function drawPlans(seed: Seed, { transactions, keys }: OutboxLoad): OutboxPlan[] {
  return Array.from({ length: transactions }, (_, index) => ({
    id: `t${index}`,
    key: chance(seed, keyedPercent) ? `key-${seed.integer(0, keys - 1)}` : undefined,
    pushes: chance(seed, 20) ? 2 : 1,
    isRefused: chance(seed, refusedPercent),
  }))
}
