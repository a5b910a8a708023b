import type { DocumentId, UpdateOperators } from './participant.ts'
import { type EndState, type TransactionState, transactionStates } from './table.ts'

/** The version of records that this code writes, and the newest that it reads. */
export const recordVersion = 1

/** A part as it is kept: with this the transaction is run, reversed and recovered, whatever its definition has become. */
export interface KeptPart {
  readonly participant: string
  readonly id: DocumentId
  readonly guard: Readonly<Record<string, unknown>>
  readonly apply: UpdateOperators
  readonly reverse: UpdateOperators
  readonly reverseGuard: Readonly<Record<string, unknown>>
}

/** Why a transaction was canceled, or what keeps it stuck. */
export interface Cause {
  readonly code: string
  readonly message: string
  /** Of the participant that it is about. */
  readonly participant?: string
  readonly documentId?: DocumentId
  /** True where the same, under another id, may succeed. */
  readonly transient?: boolean
}

/** A person's decision on one that was stuck. */
export interface Resolution {
  readonly by: string
  readonly note?: string
}

/** A transaction in its collection. All times are the server's. */
export interface TransactionRecord {
  readonly _id: string
  readonly v: number
  /** No other record's, whatever its id and collection: what documents know it by. */
  readonly mark: string
  readonly definition: string
  /** JSON text, for people; what runs are the parts. */
  readonly input: string
  /** Of definition and input. */
  readonly hash: string
  readonly parts: readonly KeptPart[]
  readonly state: TransactionState
  /** Set until it has ended: what partial indexes go by. */
  readonly open?: true
  /** How many claims there have been. */
  readonly token: number
  readonly owner?: string
  /** The end of the lease. */
  readonly until?: Date
  /** After this no `apply` that was sent under any claim is written. Absent while none can have been sent. */
  readonly applyUntil?: Date
  readonly createdAt: Date
  /** When it came into its state. */
  readonly changedAt: Date
  /** When somebody last claimed it, or found it stuck: recovery takes turns by it. */
  readonly touchedAt: Date
  readonly endedAt?: Date
  readonly cause?: Cause
  /** Parts, by number, of which the only claim there has been knows that their documents did not exist. */
  readonly missing?: readonly number[]
  readonly stuck?: Cause & { readonly at: Date }
  /** What a person has decided, and may not be carried out yet. */
  readonly resolving?: Resolution & { readonly id: string; readonly as: EndState }
  readonly resolved?: Resolution
  /** Parts, by number, whose update was in place when a person resolved it. */
  readonly left?: readonly number[]
  readonly reverseOf?: string
  /** Of a reverse: whether the roles are those of the input exchanged. Not so for the reverse of one. */
  readonly isReversed?: boolean
}

const isText = (value: unknown) => typeof value === 'string' && value.length > 0
const isObject = (value: unknown) => typeof value === 'object' && value !== null

/** The first thing that keeps a record from being worked on; undefined for a sound one. */
export function faultOf(record: TransactionRecord): string | undefined {
  const { v, mark, state, token, parts, definition } = record
  if (v !== recordVersion) return `its version is ${String(v).slice(0, 40)}, expected ${recordVersion}`
  if (!transactionStates.includes(state)) return `its state is ${String(state).slice(0, 40)}`
  if (!Number.isSafeInteger(token) || token < 0) return 'its token is no whole number'
  if (!isText(mark)) return 'its mark is no text'
  if (!isText(definition)) return 'its definition is no text'
  if (!Array.isArray(parts) || parts.length === 0) return 'it has no parts'
  return parts.every(isPart) ? undefined : 'one of its parts cannot be decoded'
}

const isPart = (part: KeptPart): boolean =>
  isObject(part) &&
  isText(part.participant) &&
  part.id !== undefined &&
  [part.guard, part.apply, part.reverse, part.reverseGuard].every(isObject)

/**
 * What a document knows a part of a transaction by. Not by the transaction's id: that is another's in the records of another engine, or
 * once its window is over. Not by its mark alone: one document may take part under two names.
 */
export const keyOf = ({ mark }: Pick<TransactionRecord, 'mark'>, index: number): string => `${mark}.${index}`

export const markOf = (key: string): string => key.slice(0, key.lastIndexOf('.'))

/** The tombstone of a transaction on a participant's document. */
export interface Tombstone {
  readonly key: string
  /** For people. */
  readonly id: string
  readonly outcome: EndState
  /** A write that may come late comes before this, on the clock of that server. */
  readonly until: Date
  /** Its update was in place when a person resolved it. */
  readonly isLeft?: true
}

/** What a transaction has on a participant's document while it is under way. */
export interface Entry {
  readonly key: string
  readonly id: string
  /** What it has added to number fields, nested as in the document. */
  readonly delta: Readonly<Record<string, unknown>>
}
