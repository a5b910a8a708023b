import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineTwoPhase, type TwoPhaseDefinition } from './definition.ts'
import { atLeast } from './guards.ts'
import type { Participant } from './participant.ts'

/** What a transfer is given: whole units, as cents. */
export interface Transfer {
  readonly from: string
  readonly to: string
  readonly amount: number
}

export interface TransferOptions {
  /** Default `transfer`. */
  readonly name?: string
  readonly accounts: Participant
  /** The number field that is moved; a path may have dots. */
  readonly field: string
  /** A further guard of both accounts, as that they are open. */
  readonly guard?: Readonly<Record<string, unknown>>
}

export type TransferDefinition = TwoPhaseDefinition<StandardSchemaV1<Transfer>>

/**
 * Moves an amount from one document to another. Its source has to have it without what others are still to credit, and so has its
 * destination when the transfer is reversed.
 *
 * @throws CONFIG
 */
export function transferOf({ name = 'transfer', accounts, field, guard = {} }: TransferOptions): TransferDefinition {
  return defineTwoPhase({
    name,
    input: transferSchema,
    uses: [accounts],
    participants: ({ from, to, amount }) => {
      const [less, more] = [{ $inc: { [field]: -amount } }, { $inc: { [field]: amount } }]
      const enough = { $and: [guard, atLeast(field, amount)] }
      return [
        { participant: accounts, id: from, guard: enough, apply: less, reverse: more, reverseGuard: guard },
        { participant: accounts, id: to, guard, apply: more, reverse: less, reverseGuard: enough },
      ]
    },
  })
}

/** Written by hand: a library of schemas is the user's choice. */
const transferSchema: StandardSchemaV1<Transfer> = {
  '~standard': {
    version: 1,
    vendor: 'strata',
    validate: value => {
      const issues = issuesOf(value)
      return issues.length > 0 ? { issues } : { value: value as Transfer }
    },
  },
}

function issuesOf(value: unknown): StandardSchemaV1.Issue[] {
  const { from, to, amount } = Object(value) as Partial<Record<keyof Transfer, unknown>>
  const issues: StandardSchemaV1.Issue[] = []
  for (const [name, got] of Object.entries({ from, to })) {
    if (typeof got !== 'string' || got === '') issues.push({ path: [name], message: 'is not the id of an account' })
  }
  if (from === to) issues.push({ path: ['to'], message: 'is the same account as from' })
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount <= 0) {
    issues.push({ path: ['amount'], message: `is ${String(amount)}, expected a safe whole number of at least 1` })
  }
  return issues
}
