import type { ErrorSpec } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** The errors of the outbox. */
export const outboxErrors = {
  OUTBOX_ELSEWHERE: {
    ...refused,
    when: 'A push came inside a transaction of another datasource than the one the outbox writes to',
  },
  OUTBOX_FLUSH_TIMEOUT: {
    outcome: 'unknown',
    transient: true,
    when: 'Rows of the outbox were still to be published when `flush` had waited for `deadlineMs`',
  },
  OUTBOX_KEY_INVALID: { ...refused, when: 'The key of a push is empty or longer than 512 characters' },
  OUTBOX_ROW_INVALID: {
    ...refused,
    when: 'A row of the outbox cannot be published: it cannot be decoded, or a newer version wrote it; it is set aside',
  },
} as const satisfies Record<string, ErrorSpec>
