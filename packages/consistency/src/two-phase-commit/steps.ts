import type { Documents } from './port.ts'
import { type Cause, type KeptPart, keyOf, type TransactionRecord } from './record.ts'
import { type Engine, stepMsOf } from './settings.ts'
import { brief, type Sight, type StepAt, sightPipeline, stepStatement } from './step-statement.ts'
import type { StepRule, WorkRule } from './table.ts'

/** What has become of one participant's step in the present state. */
export type StepEnd =
  /** `isSole`: one statement was sent, and it was answered. */
  | { readonly kind: 'confirmed'; readonly isSole?: boolean }
  /** It is not made: `isMissing` where there is no document to make it on. */
  | { readonly kind: 'refused'; readonly cause: Cause; readonly isSole?: boolean; readonly isMissing?: boolean }
  /** There is no document that anything could be taken from. */
  | { readonly kind: 'missing'; readonly cause: Cause }
  /** Its tombstone says that the transaction is further on than whoever sends this knows. */
  | { readonly kind: 'overtaken'; readonly cause: Cause }
  /** This process does not know the participant. */
  | { readonly kind: 'unreachable'; readonly cause: Cause }
  /** The claim's deadline has passed. */
  | { readonly kind: 'late' }
  /** The database does not answer, or what is seen changes all the time. */
  | { readonly kind: 'unclear'; readonly error?: unknown }

export interface StepOf {
  readonly record: TransactionRecord
  readonly part: KeptPart
  /** Which of the record's parts it is. */
  readonly index: number
  readonly work: WorkRule
  /** Where nothing of this participant's `apply` can be under way. */
  readonly isSole: boolean
}

const triesMax = 4
const pauseMs = 20
const never = new Date(0)

/** Does what a state wants of one participant, until it is confirmed or there is no going on. */
export async function takeStep(engine: Engine, of: StepOf): Promise<StepEnd> {
  const participant = engine.participants.get(of.part.participant)
  if (!participant) return { kind: 'unreachable', cause: unreachable(of.part) }
  const documents = engine.store.participant(participant)
  let last: StepEnd = { kind: 'unclear' }
  for (let tries = 0; tries < triesMax && last.kind === 'unclear'; tries += 1) {
    if (tries > 0) await engine.pause(pauseMs * tries)
    last = await tryStep(engine, of, { documents, isFirst: tries === 0 }).catch(error => ({ kind: 'unclear', error }))
  }
  return last
}

async function tryStep(
  engine: Engine,
  of: StepOf,
  { documents, isFirst }: { readonly documents: Documents; readonly isFirst: boolean },
): Promise<StepEnd> {
  const at = stepAt(engine, of)
  let refusal: unknown
  for (const name of of.work.steps) {
    const rule = engine.protocol.steps[name]
    const { filter, update } = stepStatement(rule, at)
    const isSentOnce = isFirst && of.record.token === 1 && rule.entry === 'added'
    const options = { timeoutMs: stepMsOf(engine), isSentOnce }
    const isWritten = await documents.update(filter, update, options).catch(error => {
      if (!engine.store.isRefusal(error)) throw error
      refusal ??= error
      return false
    })
    if (isWritten) return { kind: 'confirmed', isSole: isFirst }
  }
  const [sight] = await documents.aggregate(sightPipeline(at))
  const end = judge(engine, of, sight as unknown as Sight | undefined)
  // What was refused may not have been needed: there was no entry, and none can come.
  if (refusal !== undefined && end.kind !== 'confirmed')
    return { kind: 'refused', cause: refusedByServer(of.part, refusal) }
  return end.kind === 'refused' ? { ...end, isSole: isFirst } : end
}

function stepAt(engine: Engine, { record, part, index, isSole }: StepOf): StepAt {
  const { clock, clockSkewMs, entriesMax, protocol } = engine
  const until = record.until ?? brief
  const seen = clock.atLeast
  const isBrief = isSole && protocol.tombstones.isBriefWhenNothingIsUnderWay
  const lasting = protocol.tombstones.outlivesWrites ? (record.applyUntil ?? brief) : brief
  return {
    id: record._id,
    key: keyOf(record, index),
    part,
    applyUntil: record.applyUntil ?? never,
    deadline: new Date(until.getTime() - stepMsOf(engine)),
    tombstoneUntil: isBrief ? brief : lasting,
    pruneUntil: seen && new Date(seen.getTime() - clockSkewMs),
    entriesMax,
    clockSkewMs,
  }
}

/** What a step that has not matched means, by what its document has. */
function judge({ protocol }: Engine, { part, work }: StepOf, sight: Sight | undefined): StepEnd {
  const rules = work.steps.map(name => protocol.steps[name])
  const isAdding = rules.some(({ entry }) => entry === 'added')
  if (!sight) {
    return isAdding
      ? { kind: 'refused', cause: missing(part), isMissing: true }
      : { kind: 'missing', cause: missing(part) }
  }
  if (isAdding ? sight.hasEntry : isSettled(rules, sight)) return { kind: 'confirmed' }
  if (isAdding && sight.hasTombstone) return { kind: 'overtaken', cause: settledBefore(part) }
  if (sight.isLate) return { kind: 'late' }
  // It has come or gone between the two statements.
  if (!isAdding) return { kind: 'unclear' }
  return { kind: 'refused', cause: sight.isCrowded ? crowded(part) : guardFailed(part) }
}

/** Released or reversed by another, or barred. That there is no entry is enough where nothing is left that could add it. */
function isSettled(rules: readonly StepRule[], { hasEntry, hasTombstone, isPast }: Sight): boolean {
  if (hasEntry) return false
  return hasTombstone || isPast || !rules.some(({ needsEntry, tombstone }) => !needsEntry && tombstone !== 'none')
}

const about = ({ participant, id }: KeptPart) => ({ participant, documentId: id })
const nameOf = ({ participant, id }: KeptPart) => `${String(id)} of ${participant}`

const missing = (part: KeptPart): Cause => ({
  code: 'TWO_PHASE_PARTICIPANT_MISSING',
  message: `Document ${nameOf(part)} does not exist`,
  ...about(part),
})

const guardFailed = (part: KeptPart): Cause => ({
  code: 'TWO_PHASE_GUARD_FAILED',
  message: `Document ${nameOf(part)} does not match its guard`,
  ...about(part),
})

const crowded = (part: KeptPart): Cause => ({
  code: 'TWO_PHASE_CROWDED',
  message: `Document ${nameOf(part)} has as many entries of transactions as entriesMax allows: try again, with another id`,
  transient: true,
  ...about(part),
})

const settledBefore = (part: KeptPart): Cause => ({
  code: 'TWO_PHASE_SETTLED_BEFORE',
  message: `Document ${nameOf(part)} tells that the transaction has ended, and its record that it has not begun to: resolve it, then correct what has to be`,
  ...about(part),
})

const unreachable = (part: KeptPart): Cause => ({
  code: 'TWO_PHASE_DEFINITION_UNKNOWN',
  message: `No definition of this process uses participant ${part.participant}`,
  ...about(part),
})

const refusedByServer = (part: KeptPart, error: unknown): Cause => ({
  code: 'TWO_PHASE_STEP_REFUSED',
  message: `Update of ${nameOf(part)} is refused: ${error instanceof Error ? error.message.slice(0, 500) : String(error)}`,
  ...about(part),
})
