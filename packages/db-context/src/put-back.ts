import { dbContextError } from './registry.ts'

/** After this long, in milliseconds, a job that has done nothing yet does not wait for a document in its slot. */
export const putBackAfterMs = 200

/**
 * The end of an attempt whose job is to be run again from its beginning: in its slot it would keep waiting the very job
 * that whoever holds the document may await.
 */
export function lockBlockedError(
  what: string,
  blocked: { readonly level: number; readonly transaction: string | undefined; readonly cause: unknown },
) {
  const { level, transaction, cause } = blocked
  return dbContextError(
    'LOCK_BLOCKED',
    `Other work held the document of ${what} for more than ${putBackAfterMs} ms: this job has applied and called nothing, ` +
      'so its worker puts it back',
    { details: { what, level, transaction, blockedMs: putBackAfterMs }, cause },
  )
}
