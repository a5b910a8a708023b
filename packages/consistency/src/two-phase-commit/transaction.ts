import type { DocumentId } from './participant.ts'
import type { Cause, Resolution, TransactionRecord } from './record.ts'
import { outcomes, type TransactionState } from './table.ts'

export interface ToldPart {
  readonly participant: string
  readonly id: DocumentId
}

/** A transaction as it is told of. */
export interface TwoPhaseTransaction {
  readonly id: string
  readonly definition: string
  /** As it was given, read back from its JSON. */
  readonly input: unknown
  readonly state: TransactionState
  /** What is settled already: `applied` from the moment that it is in force, `not-applied` from the moment that it never will be. */
  readonly outcome: 'applied' | 'not-applied' | 'unknown'
  readonly participants: readonly ToldPart[]
  readonly createdAt: Date
  /** When it came into its state, by the server's clock. */
  readonly changedAt: Date
  /** Why it was canceled. */
  readonly cause?: Cause
  /** What a person has to look at. */
  readonly stuck?: Cause & { readonly at: Date }
  /** `left`: the documents on which its update was in place then, and is still: what has to be corrected a person does. */
  readonly resolved?: Resolution & { readonly left: readonly ToldPart[] }
  /** The one whose roles it exchanges. */
  readonly reverseOf?: string
  /** Whether the roles are those of the input exchanged: so for a reverse, not so for the reverse of one. */
  readonly isReversed: boolean
}

export function tell(record: TransactionRecord): TwoPhaseTransaction {
  const { _id: id, definition, state, createdAt, changedAt, cause, stuck, resolved, reverseOf } = record
  const participants = (Array.isArray(record.parts) ? record.parts : []).map(part => ({
    participant: part?.participant,
    id: part?.id,
  }))
  return {
    id,
    definition,
    input: readInput(record.input),
    state,
    outcome: outcomes[state] ?? 'unknown',
    participants,
    createdAt,
    changedAt,
    isReversed: record.isReversed ?? false,
    ...(cause && { cause }),
    ...(stuck && { stuck }),
    ...(resolved && { resolved: { ...resolved, left: participants.filter((_, at) => record.left?.includes(at)) } }),
    ...(reverseOf !== undefined && { reverseOf }),
  }
}

function readInput(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}
