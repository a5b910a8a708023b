import { dbContextError } from '@strata/db-context'

/** A day: nobody waits longer, and a timer cannot. */
export const waitMsLimit = 86_400_000

/** @throws CONFIG */
export function checkWaitMs(option: string, got: number, atLeast: 0 | 1): number {
  if (got >= atLeast && got <= waitMsLimit) return got
  throw wrong(option, got, `${atLeast} to ${waitMsLimit} ms`)
}

/** @throws CONFIG */
export function checkCount(option: string, got: number, { min, max }: { min: number; max: number }): number {
  if (Number.isInteger(got) && got >= min && got <= max) return got
  throw wrong(option, got, `a whole number from ${min} to ${max}`)
}

function wrong(option: string, got: number, expected: string) {
  return dbContextError('CONFIG', `Option ${option} is ${got}, expected ${expected}`, {
    details: { option, got, expected },
  })
}
