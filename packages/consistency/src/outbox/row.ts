import type { Timestamp } from '@strata/mongo'
import { consistencyError } from '../errors.ts'
import type { OutboxMessage } from './port.ts'

/** The version of rows that this code writes, and the newest that it reads. */
export const rowVersion = 1

export type RowState = 'pending' | 'published' | 'set-aside'

/** Why a row is set aside. */
export interface RowFault {
  readonly code: string
  readonly message: string
}

/** A message in the collection of the outbox, written by the transaction that it follows. */
export interface Row extends OutboxMessage {
  /** Its own: the id of a job may be chosen, and chosen twice. */
  readonly _id: string
  readonly v: number
  readonly state: RowState
  /** Set until it is published: what partial indexes go by. */
  readonly open?: true
  /** When it was written, on the cluster's clock, which never goes back and is no process's: unique. */
  readonly at: Timestamp
  /** Refusals by the queue while it took others. */
  readonly tries?: number
  readonly publishedAt?: Date
  readonly fault?: RowFault
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0

function isJson(value: unknown): boolean {
  try {
    return typeof value === 'string' && JSON.parse(value) !== undefined
  } catch {
    return false
  }
}

/** The first thing that keeps a row from being published; undefined for a sound one. */
function faultOf({ v, id, job, queue, level, data, options, key }: Row): string | undefined {
  if (v !== rowVersion) return `version is ${String(v)}, expected ${rowVersion}: update the process that relays`
  for (const [name, value] of Object.entries({ id, job, queue })) if (!isText(value)) return `${name} is not a text`
  if (!Number.isSafeInteger(level) || level < 1) return 'level is not a whole number of at least 1'
  if (key !== undefined && !isText(key)) return 'key is not a text'
  if (!isJson(data)) return 'data is not JSON'
  return isJson(options) ? undefined : 'options are not JSON'
}

/** Checks what may have been written by another version, or by hand. @returns an OUTBOX_ROW_INVALID to set it aside with */
export function checkRow(row: Row): Error | undefined {
  const fault = faultOf(row)
  if (fault === undefined) return undefined
  return consistencyError('OUTBOX_ROW_INVALID', `Row ${String(row._id)} of the outbox cannot be published: ${fault}`, {
    details: { row: row._id, job: row.job, fault },
  })
}
