import { type Chain, printChain } from './chain.ts'
import { dbContextError } from './registry.ts'

/** The deepest level when `levels.max` is not given. */
export const levelsMaxDefault = 4

/** Beyond this, a pool and a lane a level cost more connections than any server grants. */
export const levelsMaxLimit = 64

/** Checks a level that somebody asked for by number. @throws LEVEL_INVALID, LEVEL_LIMIT */
export function checkLevel(level: unknown, max: number, chain: Chain): number {
  if (typeof level !== 'number' || !Number.isInteger(level) || level < 0) {
    throw dbContextError('LEVEL_INVALID', `Level is ${String(level)}, expected a whole number from 0 to ${max}`, {
      details: { got: level, levelsMax: max, chain },
    })
  }
  if (level > max) {
    throw dbContextError(
      'LEVEL_LIMIT',
      `Level ${level} is deeper than levels.max (${max}): raise it, or push the work instead of awaiting it. Chain: ${printChain(chain)}`,
      { details: { got: level, levelsMax: max, chain } },
    )
  }
  return level
}

/** Refuses a level that is not below `current`, or with `same` one that is above it. @throws LEVEL_ORDER */
export function checkDeeper(level: number, current: number, options: { same: boolean; chain: Chain }): void {
  if (options.same ? level >= current : level > current) return
  const expected = options.same ? `${current} or deeper` : `deeper than ${current}`
  throw dbContextError(
    'LEVEL_ORDER',
    `Level is ${level}, expected ${expected}: a wait goes only deeper. Leave the level out to get the next one`,
    { details: { got: level, current, expected, chain: options.chain } },
  )
}
