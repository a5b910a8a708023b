import type { StandardSchemaV1 } from '@standard-schema/spec'
import { dbContextError } from '@strata/db-context'
import type { Part, Participant } from './participant.ts'

type Schema = StandardSchemaV1

/** A kind of transaction: what it is given, and which documents take part in it. */
export interface TwoPhaseDefinition<Input extends Schema = Schema> {
  readonly name: string
  readonly input: Input
  /** All that `participants` may name: whoever recovers has to reach them. */
  readonly uses: readonly Participant[]
  /** Called once, as the transaction is made; what it says is kept in the record, so a newer version changes nothing under way. */
  participants(input: StandardSchemaV1.InferOutput<Input>): readonly Part[]
}

export type TwoPhaseInput<Definition extends TwoPhaseDefinition> = StandardSchemaV1.InferInput<Definition['input']>

/** A definition as one that takes others beside it sees it. */
export type AnyTwoPhase = Omit<TwoPhaseDefinition, 'participants'> & { participants(input: never): readonly Part[] }

/**
 * Declares a kind of transaction. `input` is any Standard Schema (zod, valibot, arktype), as with jobs; it has to be JSON.
 *
 * @throws CONFIG
 */
export function defineTwoPhase<Input extends Schema>(options: TwoPhaseDefinition<Input>): TwoPhaseDefinition<Input> {
  const { name, uses } = options
  if (typeof name !== 'string' || name.length === 0 || name.length > 200) {
    throw dbContextError(
      'CONFIG',
      `Option name of a two-phase definition is ${String(name)}, expected 1 to 200 characters`,
    )
  }
  const names = new Set(uses.map(participant => participant.name))
  if (uses.length === 0 || names.size < uses.length) {
    throw dbContextError('CONFIG', `Option uses of ${name} has no participant, or two of one name`, {
      details: { name },
    })
  }
  return options
}
