import { type ErrorSpec, errorFactory } from '@strata/db-context'
import { idempotencyErrors } from './idempotency/errors.ts'
import { inboxErrors } from './inbox/errors.ts'
import { lockErrors } from './lock/errors.ts'
import { outboxErrors } from './outbox/errors.ts'
import { twoPhaseErrors } from './two-phase-commit/errors.ts'

/** Every error that `consistency` adds to those of `db-context` and `mongo`; `docs/reference/errors.md` is kept equal to it by a test. */
export const consistencyErrors = {
  ...idempotencyErrors,
  ...inboxErrors,
  ...lockErrors,
  ...outboxErrors,
  ...twoPhaseErrors,
} as const satisfies Record<string, ErrorSpec>

export type ConsistencyErrorCode = keyof typeof consistencyErrors

export const consistencyError = errorFactory(consistencyErrors)
