import type { DocumentId } from './participant.ts'
import type { Cause, Resolution, TransactionRecord } from './record.ts'
import { outcomes, type TransactionState } from './table.ts'

/** A transaction as it is told of. */
export interface TwoPhaseTransaction {
  readonly id: string
  readonly definition: string
  /** As it was given, read back from its JSON. */
  readonly input: unknown
  readonly state: TransactionState
  /** What is settled already: `applied` from the moment that it is in force, `not-applied` from the moment that it never will be. */
  readonly outcome: 'applied' | 'not-applied' | 'unknown'
  readonly participants: readonly { readonly participant: string; readonly id: DocumentId }[]
  readonly createdAt: Date
  /** When it came into its state, by the server's clock. */
  readonly changedAt: Date
  /** Why it was canceled. */
  readonly cause?: Cause
  /** What a person has to look at. */
  readonly stuck?: Cause & { readonly at: Date }
  readonly resolved?: Resolution
  /** The one whose roles it exchanges. */
  readonly reverseOf?: string
}

export function tell(record: TransactionRecord): TwoPhaseTransaction {
  const { _id: id, definition, state, createdAt, changedAt, cause, stuck, resolved, reverseOf } = record
  return {
    id,
    definition,
    input: readInput(record.input),
    state,
    outcome: outcomes[state] ?? 'unknown',
    participants: (Array.isArray(record.parts) ? record.parts : []).map(part => ({
      participant: part?.participant,
      id: part?.id,
    })),
    createdAt,
    changedAt,
    ...(cause && { cause }),
    ...(stuck && { stuck }),
    ...(resolved && { resolved }),
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
