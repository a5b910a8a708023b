import { dbContextError, type StrataError } from '@strata/db-context'
import { hasName } from './classify.ts'

/**
 * What the driver says of a session that other hands have used: ended, committed, aborted or begun anew. What became of the
 * transaction until then cannot be told from here.
 */
export function sessionTaken(what: string, error: unknown): StrataError | undefined {
  const isTaken = hasName(error, 'MongoTransactionError') || hasName(error, 'MongoExpiredSessionError')
  return isTaken ? takenError(what, error) : undefined
}

export function takenError(what: string, cause?: unknown): StrataError {
  return dbContextError(
    'TRANSACTION_ENDED',
    `Session of the transaction was ended or used by other hands, found by ${what}: ask the data, and leave the session alone`,
    { outcome: 'unknown', details: { what }, cause },
  )
}
