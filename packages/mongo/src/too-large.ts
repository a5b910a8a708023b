import type { Outcome, StrataError } from '@strata/db-context'
import { codeOf, hasName, isServerError } from './classify.ts'
import { mongoError } from './errors.ts'

/** What the server says of a document, or of a command with it, above 16 MiB. */
const documentCode = 10_334
const transactionCodes = new Set([257, 388])

/**
 * Gives the three ways in which a document above 16 MiB fails one name: the driver's encoder runs out of its buffer, its bulk
 * writer refuses, or the server does. The driver's own refusals come before anything is sent.
 */
export function tooLarge(
  error: unknown,
  { what, outcome }: { what: string; outcome: Outcome },
): StrataError | undefined {
  const isUnsent = isEncoderFull(error) || isRefusedByDriver(error)
  const code = isServerError(error) ? codeOf(error) : undefined
  if (isUnsent || code === documentCode) {
    return mongoError(
      'DOCUMENT_TOO_LARGE',
      `Document of ${what} is larger than the 16 MiB that MongoDB takes: split it`,
      {
        outcome: isUnsent ? 'not-applied' : outcome,
        details: { what },
        cause: error,
      },
    )
  }
  if (code === undefined || !transactionCodes.has(code)) return undefined
  const message = `Transaction has written more than the server can keep for it, in ${what}: write less, in several`
  return mongoError('TRANSACTION_TOO_LARGE', message, { outcome, details: { what }, cause: error })
}

const isEncoderFull = (error: unknown) =>
  error instanceof RangeError && 'code' in error && error.code === 'ERR_OUT_OF_RANGE'

const isRefusedByDriver = (error: unknown) =>
  hasName(error, 'MongoInvalidArgumentError') &&
  error instanceof Error &&
  error.message.includes('larger than the maximum size')
