import type { ErrorSpec } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** The errors of locks over processes; a wait that the one rule forbids is `LOCK_ORDER` of db-context. */
export const lockErrors = {
  LOCK_FENCE_INVALID: {
    ...refused,
    when: 'A guarded write cannot be made of what was given: a whole document in the place of an update, a field that is no name, a key that the lease has not',
  },
  LOCK_FENCED: {
    ...refused,
    when: 'A guarded write has matched nothing: a newer lease has written the document, or it is not there',
  },
  LOCK_KEYS_INVALID: {
    ...refused,
    when: 'The keys of a lock are none, more than 100, or not each a well-formed text of 1 to 200 characters',
  },
  LOCK_LOST: {
    outcome: 'unknown',
    transient: false,
    when: 'A lease ended before the work under it: it could not be renewed in time, its process was stopped for too long, or `holdMsMax` had passed (`details.reason`). `not-applied` where its work had not begun',
  },
  LOCK_REENTRANT: {
    ...refused,
    when: 'A lock was asked for by work that holds it already, or that is awaited by work which does',
  },
  LOCK_ROW_INVALID: {
    ...refused,
    when: 'The document of a lock cannot be read: a newer version wrote it, or something else did',
  },
  LOCK_UNANSWERED: {
    outcome: 'unknown',
    transient: false,
    when: 'The server of a lock has not answered the release of a lease within its time; reported of a renewal, which is sent again',
  },
  LOCK_WAIT_TIMEOUT: {
    outcome: 'not-applied',
    transient: true,
    when: 'Another holder kept a lock for longer than `waitMs`; the message names it and its age',
  },
} as const satisfies Record<string, ErrorSpec>
