import { parseJson } from './json.ts'
import { readWireError, type WireError } from './wire-error.ts'

/** How a job ended. `value` is absent for a handler that returns nothing. */
export type Reply =
  | { readonly v: 1; readonly ok: true; readonly value?: unknown }
  | { readonly v: 1; readonly ok: false; readonly error: WireError }

export const encodeReply = (reply: Reply): string => JSON.stringify(reply)

/** Reads a reply; undefined when it is not one that this version knows. */
export function readReply(text: string): Reply | undefined {
  const found = parseJson(text)
  if (typeof found !== 'object' || found === null || !('v' in found) || found.v !== 1 || !('ok' in found))
    return undefined
  if (found.ok === true) return 'value' in found ? { v: 1, ok: true, value: found.value } : { v: 1, ok: true }
  const error = 'error' in found ? readWireError(found.error) : undefined
  return error && { v: 1, ok: false, error }
}

/** The fields of a BullMQ job's hash that say how it ended; `strata` is ours, the error as it travels. */
export const endFields = ['finishedOn', 'returnvalue', 'failedReason', 'strata'] as const

/** What the record of a job tells: that it is gone, has not ended, or how it did. */
export type RecordedEnd = 'gone' | 'open' | Reply

/**
 * Reads how a job ended from its record, for a reply that did not come. BullMQ writes `null` for a handler that returned
 * nothing, which the reader tells apart by the schema.
 */
export function readRecordedEnd(exists: boolean, fields: readonly (string | null | undefined)[]): RecordedEnd {
  const [finishedOn, returnValue, failedReason, strata] = fields
  if (!exists) return 'gone'
  if (finishedOn === null || finishedOn === undefined) return 'open'
  if (typeof returnValue === 'string') return { v: 1, ok: true, value: parseJson(returnValue) }
  const error = typeof strata === 'string' ? readWireError(parseJson(strata)) : undefined
  return { v: 1, ok: false, error: error ?? { name: 'Error', message: failedReason ?? 'Job failed without a reason' } }
}
