import type { ErrorSpec } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** The errors of requests with an idempotency key. */
export const idempotencyErrors = {
  IDEMPOTENCY_ANSWER_INVALID: {
    ...refused,
    when: 'The answer to a request with a key is not JSON, or larger than `answerBytesMax`: its transaction was rolled back',
  },
  IDEMPOTENCY_IN_PROGRESS: {
    outcome: 'not-applied',
    transient: true,
    when: 'A request with this key is being worked on, here or elsewhere: repeat it after `details.retryAfterMs`',
  },
  IDEMPOTENCY_KEY_INVALID: {
    ...refused,
    when: 'The key or the scope of a request is empty, longer than 1,024 characters or not well-formed Unicode',
  },
  IDEMPOTENCY_KEY_REUSED: { ...refused, when: 'The key was used for another request' },
  IDEMPOTENCY_ROW_INVALID: {
    outcome: 'unknown',
    transient: false,
    when: 'The record of a key cannot be read: a newer version wrote it, or something else did. Nothing was done now',
  },
} as const satisfies Record<string, ErrorSpec>
