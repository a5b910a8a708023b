import type { ErrorSpec } from '@strata/db-context'

/** The errors of the inbox. */
export const inboxErrors = {} as const satisfies Record<string, ErrorSpec>
