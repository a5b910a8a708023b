import type { Outcome } from '@strata/db-context'
import { consistencyError } from '../errors.ts'

/** What nothing can be done with here. */
export const unreadable = (id: string, fault: string, outcome: Outcome = 'unknown') =>
  consistencyError(
    'TWO_PHASE_RECORD_INVALID',
    `Record of transaction ${id} cannot be read: ${fault}. Nothing was done; update this process, or correct the record`,
    { outcome, details: { id, fault } },
  )
