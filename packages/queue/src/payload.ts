import { dbContextError, type Outcome, type StrataError } from '@strata/db-context'
import { queueError } from './registry.ts'

/** 1 MiB: what is larger belongs into a store, with its id in the job. */
const payloadBytesMaxDefault = 1_048_576

/** Redis takes no larger string than 512 MiB; half of it leaves room for what goes with it. */
const payloadBytesLimit = 268_435_456

/** @throws CONFIG */
export function checkPayloadBytesMax(got: number = payloadBytesMaxDefault): number {
  if (Number.isInteger(got) && got >= 1 && got <= payloadBytesLimit) return got
  throw dbContextError('CONFIG', `Option payloadBytesMax is ${got}, expected 1 to ${payloadBytesLimit} bytes`, {
    details: { option: 'payloadBytesMax', got },
  })
}

export interface Payload {
  readonly kind: 'Input' | 'Result'
  readonly job: string
  readonly id?: string | undefined
}

/** Measures a value as it travels: UTF-8 JSON. @throws PAYLOAD_TOO_LARGE */
export function checkPayload(
  what: Payload,
  value: unknown,
  limit: { readonly bytesMax: number; readonly outcome: Outcome },
): void {
  if (value === undefined) return
  const bytes = Buffer.byteLength(JSON.stringify(value))
  if (bytes > limit.bytesMax) throw payloadTooLarge(what, { bytes, ...limit })
}

export function payloadTooLarge(
  { kind, job, id }: Payload,
  { bytes, bytesMax, outcome }: { readonly bytes: number; readonly bytesMax: number; readonly outcome: Outcome },
): StrataError {
  const of = id === undefined ? job : `${job} (${id})`
  const message = `${kind} of ${of} has ${bytes} bytes, payloadBytesMax is ${bytesMax}: store it and send its id`
  return queueError('PAYLOAD_TOO_LARGE', message, { outcome, details: { job, id, bytes, bytesMax } })
}
