import { StrataError } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import { jsonText, readJson } from '../json-text.ts'

/** What is kept of a request with a key. */
export interface KeyRecord {
  readonly _id: string
  readonly v: number
  /** Of the request. */
  readonly hash: string
  /** When the first of these requests began, by the server's clock: what the window counts from. */
  readonly startedAt: Date
  /** Random: the ids of its transactions are made of it. */
  readonly nonce: string
  /** How often its work has failed with nothing applied: each of these had calls of its own. */
  readonly generation: number
  /** The run that holds the record, or held it last. */
  readonly by?: string
  /** JSON text; committed with what the request did. */
  readonly answer?: string
  /** JSON text: the error that stays its answer. */
  readonly refusal?: string
}

export const recordVersion = 1

/** @throws IDEMPOTENCY_ROW_INVALID */
export function checkRecord(record: KeyRecord): void {
  const { _id, v, hash, nonce, generation, startedAt } = record
  if (v !== recordVersion) throw invalid(_id, `its version is ${String(v).slice(0, 40)}, expected ${recordVersion}`)
  const isWhole = typeof hash === 'string' && typeof nonce === 'string' && Number.isSafeInteger(generation)
  if (!isWhole || !(startedAt instanceof Date)) throw invalid(_id, 'a part of it is missing')
}

/**
 * What an ended request was answered with; undefined for one that has not ended.
 *
 * @throws the error that is its answer, IDEMPOTENCY_ROW_INVALID
 */
export function readAnswer({ _id, answer, refusal }: KeyRecord): { readonly value: unknown } | undefined {
  if (refusal !== undefined) throw readRefusal(_id, refusal)
  if (answer === undefined) return undefined
  const read = readJson(answer)
  if (!read) throw invalid(_id, 'its answer is not JSON')
  return read
}

/** How an error is kept. */
export function writeRefusal({ code, message, outcome, transient, details }: StrataError, bytesMax: number): string {
  const kept = { code, message: message.slice(0, 2000), outcome, transient }
  const whole = jsonText({ ...kept, details }, bytesMax)
  return whole.fault === undefined ? whole.text : JSON.stringify(kept)
}

function readRefusal(id: string, refusal: unknown): StrataError {
  const read = readJson(refusal)?.value as Partial<StrataError> | undefined
  if (typeof read?.code !== 'string' || typeof read.message !== 'string') throw invalid(id, 'its error is not one')
  const { code, message, transient = false, details = {} } = read
  return new StrataError(code, message, { outcome: 'not-applied', transient, details: { ...details, replayed: true } })
}

function invalid(key: string, fault: string) {
  const message = `Record of idempotency key ${key} cannot be read: ${fault}. Nothing was done now; ask the data`
  return consistencyError('IDEMPOTENCY_ROW_INVALID', message, { details: { key, fault } })
}
