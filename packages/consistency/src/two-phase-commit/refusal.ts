import { hasCode } from '@strata/db-context'

/**
 * What another try may not meet again, or an operator mends: the network, elections, conflicts, time limits, a lack of resources or
 * rights, a moved shard. Listed, and not what lasts, because of that there are hundreds: a unique index, a function of a guard that fails.
 */
const passing = new Set([
  6, 7, 13, 18, 24, 43, 46, 50, 63, 64, 67, 89, 91, 112, 117, 133, 134, 146, 150, 175, 189, 202, 211, 216, 225, 234,
  246, 251, 262, 290, 317, 358, 388, 391, 9001, 10_058, 10_107, 11_600, 11_601, 11_602, 13_388, 13_435, 13_436, 14_031,
])

const passingLabels = ['RetryableWriteError', 'TransientTransactionError', 'RetryableError', 'SystemOverloadedError']

interface ServerError {
  readonly code: number
  hasErrorLabel(label: string): boolean
}

/** True for an error that says that the server refuses an update for what it is, or for what the document would be: it would again. */
export const isRefusal = (error: unknown): boolean =>
  hasCode(error, 'DOCUMENT_TOO_LARGE') ||
  (isServerError(error) && !passing.has(error.code) && !passingLabels.some(label => error.hasErrorLabel(label)))

/** By name: two copies of the driver may be installed. */
const isServerError = (error: unknown): error is ServerError =>
  error instanceof Error &&
  error.name === 'MongoServerError' &&
  'code' in error &&
  typeof error.code === 'number' &&
  'hasErrorLabel' in error
