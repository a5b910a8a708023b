import { consistencyError } from '../errors.ts'

/** What nothing can be done with here. */
export const unreadable = (id: string, fault: string) =>
  consistencyError(
    'TWO_PHASE_RECORD_INVALID',
    `Record of transaction ${id} cannot be read: ${fault}. Nothing was done`,
    {
      details: { id, fault },
    },
  )
