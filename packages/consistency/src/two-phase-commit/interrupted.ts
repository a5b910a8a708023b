import { StrataError } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import { twoPhaseErrors } from './errors.ts'

interface About {
  readonly id: string
  /** As it was last seen. */
  readonly state?: string | undefined
}

export function interrupted({ id, state }: About, cause?: unknown) {
  const why = cause === undefined ? 'the engine was stopped' : 'there was no going on'
  return consistencyError(
    'TWO_PHASE_INTERRUPTED',
    `Transaction ${id} was ${state ?? 'begun'} when ${why}: do the same again with its id, or leave it to recovery`,
    { details: { id, state }, cause },
  )
}

/**
 * Does what follows the first write of a transaction. What the database says of one statement, as that it was not applied, is nothing
 * about the transaction any more.
 *
 * @throws TWO_PHASE_INTERRUPTED
 */
export async function orInterrupted<T>(about: About, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StrataError && error.code in twoPhaseErrors) throw error
    throw interrupted(about, error)
  }
}
