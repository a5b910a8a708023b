import type { StandardSchemaV1 } from '@standard-schema/spec'
import { consistencyError } from '../errors.ts'
import { requestHash } from '../idempotency/request-hash.ts'
import { jsonText } from '../json-text.ts'
import type { AnyTwoPhase } from './definition.ts'
import { faultOf } from './part-fault.ts'
import type { Part } from './participant.ts'
import type { KeptPart, TransactionRecord } from './record.ts'

/** A transaction as it is asked for. */
export interface Order {
  readonly definition: string
  readonly input: string
  readonly hash: string
  readonly parts: readonly KeptPart[]
}

const inputBytesMax = 262_144
const partsMax = 100

interface Fault {
  readonly path: string
  readonly message: string
}

/** What an input makes of a definition. @throws TWO_PHASE_INPUT_INVALID */
export async function orderOf(definition: AnyTwoPhase, input: unknown): Promise<Order> {
  const { name } = definition
  const written = jsonText(input, inputBytesMax)
  if (written.fault !== undefined) throw invalid(name, [{ path: '$', message: written.fault }])
  const read = await validate(definition, input)
  if (read.issues) throw invalid(name, read.issues.slice(0, 20).map(readIssue))
  const parts = definition.participants(read.value as never)
  const faults = faultsOf(definition, parts)
  if (faults.length > 0) throw invalid(name, faults)
  return { definition: name, input: written.text, hash: requestHash({ name, input }), parts: parts.map(kept) }
}

async function validate({ input: schema }: AnyTwoPhase, input: unknown): Promise<StandardSchemaV1.Result<unknown>> {
  try {
    return await schema['~standard'].validate(input)
  } catch (error) {
    return { issues: [{ message: `Schema threw ${error instanceof Error ? error.message : String(error)}` }] }
  }
}

const readIssue = ({ message, path = [] }: StandardSchemaV1.Issue): Fault => ({
  path: ['$', ...path.map(at => String(typeof at === 'object' ? at.key : at))].join('.'),
  message,
})

function faultsOf({ uses }: AnyTwoPhase, parts: readonly Part[]): Fault[] {
  if (parts.length === 0 || parts.length > partsMax)
    return [{ path: 'participants', message: `are ${parts.length}, expected 1 to ${partsMax}` }]
  const seen = new Set<string>()
  return parts.flatMap((part, index) => {
    const document = `${part.participant.name} ${typeof part.id} ${String(part.id)}`
    const isTwice = seen.size === seen.add(document).size
    const message = isTwice ? `names ${String(part.id)} a second time` : faultOf(part)
    if (message) return [{ path: `participants.${index}`, message }]
    return uses.includes(part.participant)
      ? []
      : [{ path: `participants.${index}`, message: `is none of those that the definition uses` }]
  })
}

const kept = ({ participant, id, guard = {}, apply, reverse, reverseGuard = {} }: Part): KeptPart => ({
  participant: participant.name,
  id,
  guard,
  apply,
  reverse,
  reverseGuard,
})

/** The same with the roles exchanged. */
export const reversed = ({ apply, reverse, guard, reverseGuard, ...part }: KeptPart): KeptPart => ({
  ...part,
  guard: reverseGuard,
  apply: reverse,
  reverse: apply,
  reverseGuard: guard,
})

/** Of this very record: its id may be another's once its window is over, and its reverse is kept for longer. */
export const hashOfReverse = ({ hash, mark }: TransactionRecord): string => requestHash({ hash, mark })

function invalid(definition: string, issues: readonly Fault[]) {
  const text = issues
    .slice(0, 3)
    .map(({ path, message }) => `${path} ${message}`)
    .join('; ')
  return consistencyError('TWO_PHASE_INPUT_INVALID', `Input of ${definition} does not fit: ${text}. Nothing was done`, {
    details: { definition, issues },
  })
}
