import { consistencyError } from '../errors.ts'
import { readJson } from '../json-text.ts'

/** What the inbox keeps of a message that was handled. A row that can be seen is committed, and so is its result. */
export interface InboxRow {
  readonly _id: string
  readonly v: number
  /** When it was first handled, by the server's clock: what the window counts from. */
  readonly at: Date
  /** JSON text, as the result crosses the wire; absent for `undefined`. */
  readonly result?: string
}

export const rowVersion = 1

/** The result of a row. @throws INBOX_ROW_INVALID */
export function readResult({ _id, v, result }: Pick<InboxRow, '_id' | 'v' | 'result'>): unknown {
  if (v !== rowVersion) throw invalid(_id, `its version is ${String(v).slice(0, 40)}, expected ${rowVersion}`)
  if (result === undefined) return undefined
  const read = readJson(result)
  if (!read) throw invalid(_id, 'its result is not JSON')
  return read.value
}

function invalid(message: string, fault: string) {
  return consistencyError(
    'INBOX_ROW_INVALID',
    `Row of message ${message} in the inbox cannot be read: ${fault}. Its handler was not run; update this process, or ask the data`,
    { details: { message, fault } },
  )
}
