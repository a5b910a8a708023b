import type { ErrorSpec } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** The errors of the inbox; a message that another run handles is `MESSAGE_IN_PROGRESS` of db-context. */
export const inboxErrors = {
  INBOX_KEY_INVALID: {
    ...refused,
    when: 'The key or the scope of a message is missing, empty, longer than 1,024 characters or not well-formed Unicode',
  },
  INBOX_RESULT_INVALID: {
    ...refused,
    when: 'The result of a handler with an inbox is not JSON, or larger than `resultBytesMax`: its transaction was rolled back',
  },
  INBOX_ROW_INVALID: {
    outcome: 'unknown',
    transient: false,
    when: 'The row of a message cannot be read: a newer version wrote it, or something else did. The handler was not run',
  },
} as const satisfies Record<string, ErrorSpec>
