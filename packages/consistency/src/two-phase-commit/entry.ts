import { type DbContext, hasCode } from '@strata/db-context'
import { consistencyError } from '../errors.ts'

const idLengthMax = 200
/** Of one that reverses one that reverses one, and so on. */
const reversedLengthMax = 1000
const reverseSuffix = ':reverse'

/** The id of the transaction that `reverse(id)` makes. */
export const reverseId = (id: string): string => `${id}${reverseSuffix}`

/** An id that a caller gives to a new transaction. @throws TWO_PHASE_ID_INVALID */
export function checkNewId(id: unknown): string {
  const checked = check(id, idLengthMax)
  if (!checked.endsWith(reverseSuffix)) return checked
  throw invalid(`Id ${checked} is that of a reverse: only reverse() makes one that ends in ${reverseSuffix}`, id)
}

/** The id of a transaction that there may be. @throws TWO_PHASE_ID_INVALID */
export const checkId = (id: unknown): string => check(id, reversedLengthMax)

function check(id: unknown, lengthMax: number): string {
  if (typeof id === 'string' && id.length > 0 && id.length <= lengthMax && id.isWellFormed()) return id
  const got = typeof id === 'string' ? `${id.length} characters` : typeof id
  throw invalid(`Id of a transaction is ${got}, expected a well-formed text of 1 to ${lengthMax} characters`, id)
}

const invalid = (message: string, id: unknown) =>
  consistencyError('TWO_PHASE_ID_INVALID', message, {
    details: { got: typeof id === 'string' ? id.slice(0, 100) : typeof id },
  })

/**
 * What it writes would stay when the transaction around it is rolled back, and it could wait for a document that this one holds.
 *
 * @throws TWO_PHASE_IN_TRANSACTION
 */
export function refuseTransaction(db: Pick<DbContext, 'current'>, verb: string): void {
  const transaction = currentTransaction(db)
  if (!transaction) return
  throw consistencyError(
    'TWO_PHASE_IN_TRANSACTION',
    `A two-phase commit was asked to ${verb} inside transaction ${transaction.name ?? transaction.id}: it would not be rolled back ` +
      'with it. Do it before, or after it has committed',
    { details: { transaction: transaction.id, verb } },
  )
}

function currentTransaction(db: Pick<DbContext, 'current'>) {
  try {
    return db.current.transaction
  } catch (error) {
    // Outside any unit of work there is none.
    if (hasCode(error, 'CONTEXT_MISSING')) return undefined
    throw error
  }
}
