import type { Seed } from '@strata/testkit'

/** A transaction as the rig orders it. */
export interface TransactionPlan {
  readonly id: string
  readonly deadlineMs: number
  /** Its deadline is shorter than what some faults last. */
  readonly isHurried: boolean
  /** How many jobs its body awaits, between its first write and its second. */
  readonly calls: number
  /** It also writes the document that others write. */
  readonly isShared: boolean
  /** Its body throws once it has written everything. */
  readonly isRefused: boolean
}

/** A range, both ends included. */
export type Range = readonly [min: number, max: number]

/** What the transactions of a fault look like. */
export interface Load {
  readonly transactions: number
  /** So many at once, one after the other each. */
  readonly callers: number
  readonly deadlineMs: Range
  /** Of a hundred transactions: how many have a short deadline, await jobs, write the shared document, are refused by their own body. */
  readonly hurried: number
  readonly calling: number
  readonly shared: number
  readonly refused: number
}

export const loadDefault: Load = {
  transactions: 24,
  callers: 4,
  deadlineMs: [15_000, 20_000],
  hurried: 0,
  calling: 40,
  shared: 25,
  refused: 15,
}

const callsMax = 2
const hurriedMs: Range = [500, 3000]

const chance = (seed: Seed, percent: number) => seed.integer(1, 100) <= percent

/** Draws the transactions of a round. */
export function drawPlans(seed: Seed, load: Load): TransactionPlan[] {
  return Array.from({ length: load.transactions }, (_, index) => drawPlan(seed, load, `t${index}`))
}

function drawPlan(seed: Seed, load: Load, id: string): TransactionPlan {
  const isHurried = chance(seed, load.hurried)
  const [min, max] = isHurried ? hurriedMs : load.deadlineMs
  return {
    id,
    deadlineMs: seed.integer(min, max),
    isHurried,
    calls: chance(seed, load.calling) ? seed.integer(1, callsMax) : 0,
    isShared: chance(seed, load.shared),
    isRefused: chance(seed, load.refused),
  }
}
