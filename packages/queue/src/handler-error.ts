import { StrataError } from '@strata/db-context'
import { queueErrors } from './registry.ts'
import { isError, peek } from './thrown.ts'
import { isOutcome } from './wire-error.ts'

/** An error of a handler that says no more of the outcome than is known of the whole job; what was thrown is its cause. */
export class HandlerError extends StrataError {
  declare readonly cause: Error

  constructor(thrown: StrataError) {
    const { code, message, details } = thrown
    super(code, message, { outcome: 'unknown', transient: false, details, cause: thrown })
  }
}

/** What is known of the job whose handler threw. */
export interface HandlerState {
  /** What Strata has done in its unit and a failure does not undo. */
  readonly hasEffects: boolean
  /** Of db-context and its datasources. */
  readonly errorCodes: ReadonlySet<string>
}

/**
 * An error as it leaves the handler. "Not applied" of a statement or of a deeper call is about that statement or that call: once
 * the job has done anything besides, it is not true of the job. Nor is "applied". What the handler itself says, in an error with
 * a code of its own, stands.
 */
export function leaveHandler(thrown: unknown, { hasEffects, errorCodes }: HandlerState): unknown {
  if (!claimsOutcome(thrown)) return thrown
  const { code, outcome } = thrown
  if (outcome === 'not-applied' && !hasEffects) return thrown
  return isRemote(thrown) || errorCodes.has(code) || code in queueErrors ? new HandlerError(thrown) : thrown
}

/** By its fields: it may come from another copy of the package. */
function claimsOutcome(thrown: unknown): thrown is StrataError {
  const outcome = peek(thrown, 'outcome')
  return isError(thrown) && typeof peek(thrown, 'code') === 'string' && isOutcome(outcome) && outcome !== 'unknown'
}

/** Every error that came from another process has that field. */
const isRemote = (thrown: Error): boolean => 'remoteStack' in thrown
