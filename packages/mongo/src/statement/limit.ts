import { type Deadline, dbContextError, remainingMs } from '@strata/db-context'
import type { TimeLimit } from '../translate.ts'

/**
 * The tightest of the limits of one operation. `userMs` is its own `maxTimeMS`, where 0 means none, as for the driver.
 *
 * @throws DEADLINE_EXCEEDED when no time is left (`not-applied`)
 */
export function timeLimit(operationMs: number, userMs: number | undefined, deadline: Deadline): TimeLimit {
  const own: TimeLimit =
    userMs !== undefined && userMs > 0 && userMs <= operationMs
      ? { ms: userMs, of: 'user' }
      : { ms: operationMs, of: 'operation' }
  if (deadline === Number.POSITIVE_INFINITY) return own
  const left = remainingMs(deadline)
  if (left <= 0) {
    throw dbContextError('DEADLINE_EXCEEDED', 'Deadline had passed before the operation was sent', {
      outcome: 'not-applied',
    })
  }
  return left < own.ms ? { ms: Math.ceil(left), of: 'deadline' } : own
}
