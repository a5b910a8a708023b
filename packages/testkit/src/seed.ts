import { randomInt } from 'node:crypto'
import { TestkitError } from './errors.ts'

const SEED_MAX = 0xffff_ffff

/** Random numbers that a seed makes again in the same order. Not for anything secret. */
export interface Seed {
  readonly value: number
  /** The next number, at least 0 and below 1. */
  next(): number
  /** The next whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  /** One of the items. */
  pick<T>(items: readonly [T, ...T[]]): T
}

/** Where a seed comes from. */
export interface SeedSource {
  /** What the command line says; it goes first. */
  readonly flag?: string | number
  /** Where `STRATA_SEED` is read; this process's environment by default. */
  readonly env?: NodeJS.ProcessEnv
  /** Receives the line that names the seed; stderr by default. */
  readonly report?: (line: string) => void
}

/**
 * The seed of this run: the flag's, `STRATA_SEED`, or a fresh one. It is always said, so that a run that fails can be
 * run again.
 * @throws SEED_INVALID unless it is a whole number from 0 to 4294967295.
 */
export function seedFrom(source: SeedSource = {}): Seed {
  const given = source.flag ?? (source.env ?? process.env)['STRATA_SEED']
  const value = given === undefined || given === '' ? randomInt(SEED_MAX) : Number(given)
  if (!Number.isInteger(value) || value < 0 || value > SEED_MAX) {
    const text = `The seed is "${given}"; it must be a whole number from 0 to ${SEED_MAX}`
    throw new TestkitError('SEED_INVALID', text, { details: { got: given } })
  }
  const report = source.report ?? ((line: string) => process.stderr.write(`${line}\n`))
  report(`seed ${value} (STRATA_SEED=${value} runs it again)`)
  return seeded(value)
}

/** Random numbers of a known seed. The generator is mulberry32: 32 bits of state, good enough to mix a test. */
export function seeded(value: number): Seed {
  let state = value >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / (SEED_MAX + 1)
  }
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  return { value, next, integer, pick: items => items[integer(0, items.length - 1)] ?? items[0] }
}
