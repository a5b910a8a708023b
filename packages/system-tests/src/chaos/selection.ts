import { type Seed, seeded, seedFrom } from '@strata/testkit'

/** What a selection reads of a fault. */
interface Named {
  readonly name: string
  readonly about: string
}

/** Which rounds are run. */
export interface Selection<Fault extends Named> {
  /** None where the one that was named is another suite's. */
  readonly faults: readonly Fault[]
  readonly seeds: readonly Seed[]
  /** False in the short form: one seed, in the time that a run of all tests has for it. */
  readonly isWhole: boolean
}

const seedsMax = 1000

const seedRange = 2 ** 32

/**
 * Reads what is to be run: `STRATA_FAULT` names one fault, `STRATA_SEEDS` says how many seeds and asks for the whole form, and
 * `STRATA_SEED` the first of them, drawn and told otherwise.
 *
 * @param every the faults of all suites that read the same words
 * @throws for a fault that does not exist, naming those that do, and for a number of seeds that is none
 */
export function readSelection<Fault extends Named>(
  env: NodeJS.ProcessEnv,
  all: readonly Fault[],
  every: readonly Named[],
): Selection<Fault> {
  const { STRATA_FAULT: name, STRATA_SEEDS: count } = env
  const faults = name ? all.filter(fault => fault.name === name) : all
  if (faults.length === 0 && !every.some(fault => fault.name === name)) {
    const names = every.map(fault => `  ${fault.name.padEnd(22)} ${fault.about}`).join('\n')
    throw new Error(`There is no fault "${name}"; the faults are:\n${names}`)
  }
  const seeds = Number(count || 1)
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > seedsMax) {
    throw new Error(`The number of seeds is "${count}"; it must be a whole number from 1 to ${seedsMax}`)
  }
  const first = seedFrom({ env }).value
  const drawn = Array.from({ length: seeds }, (_, index) => seeded((first + index) % seedRange))
  return { faults, seeds: drawn, isWhole: Boolean(count) }
}
