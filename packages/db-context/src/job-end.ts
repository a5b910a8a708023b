import { isNativeError } from 'node:util/types'
import { hasCode, StrataError } from './error.ts'
import type { Ledger } from './ledger.ts'
import { dbContextError } from './registry.ts'
import type { Unit } from './unit.ts'

const causesMax = 8

/**
 * Ends a job that has failed. `LOCK_BLOCKED` says that it can be put back, so it is said only of a job that has done nothing once
 * all its statements have ended; and `LOCK_TIMEOUT` says that nothing was applied, by the whole job.
 *
 * @throws always: returned, what was thrown would be asked whether it is a promise
 */
export async function failJob(unit: Unit, ledger: Ledger, error: unknown): Promise<never> {
  const blocked = findBlocked(error)
  if (blocked && !unit.signal.aborted) {
    await ledger.quiet(unit.id)
    throw unit.isUntouched ? blocked : lockTimeout(unit, blocked)
  }
  throw isNativeError(error) && isUnapplied(error) ? lockTimeout(unit, error) : error
}

/** A handler may have wrapped it. What was thrown may be no error, or one that throws in its turn. */
function findBlocked(error: unknown): StrataError | undefined {
  let at = error
  try {
    for (let depth = 0; depth < causesMax && isNativeError(at); depth += 1) {
      if (hasCode(at, 'LOCK_BLOCKED')) return at
      at = at.cause
    }
  } catch {
    return undefined
  }
  return undefined
}

const isUnapplied = (error: unknown): error is StrataError =>
  error instanceof StrataError && error.code === 'LOCK_TIMEOUT' && error.outcome === 'not-applied'

function lockTimeout({ hasEffects }: Unit, error: StrataError): StrataError {
  if (!hasEffects && hasCode(error, 'LOCK_TIMEOUT')) return error
  const { message, details, cause } = error
  const did = hasEffects
    ? ({ message: `${message}, after other work of this job was done`, outcome: 'unknown', transient: false } as const)
    : ({ message, outcome: 'not-applied', transient: true } as const)
  return dbContextError('LOCK_TIMEOUT', did.message, { ...did, details, cause })
}
