import type { StepName, TransactionState } from '@strata/consistency/two-phase-commit'

/** A participant's document, as far as one transaction goes. */
export interface Part {
  readonly exists: boolean
  readonly guardHolds: boolean
  readonly hasEntry: boolean
  /** How often the participant's update has been applied, less how often it has been reversed. */
  readonly effect: number
  readonly tombstone: 'done' | 'canceled' | 'none'
  /** Each `apply` of claims up to this one may still come: while one may, the tombstone stays. */
  readonly tombstoneOf: number
}

/** A write of a participant's document that has been sent, and has not come. */
export interface Write {
  readonly step: StepName
  readonly part: number
  readonly token: number
  readonly isBrief: boolean
  /** Who waits for its answer; nobody after a crash or a time-out. */
  readonly by: number | undefined
}

/** How far an actor is with one participant. Before it sends again, it looks at the document. */
export type Progress = 'sent' | 'unanswered' | 'confirmed' | 'missing' | 'refused'

export type Answer = 'none' | 'written' | 'refused' | 'unsure'

/** Somebody who runs, recovers or cancels the transaction. */
export interface Actor {
  readonly phase: 'idle' | 'working' | 'over' | 'crashed'
  readonly token: number
  /** The state that it works on. */
  readonly state: TransactionState | undefined
  readonly parts: readonly Progress[]
  /** By participant, whether its `apply` was answered, as written or as not matched, and no other was ever sent by it: none can come again. */
  readonly applied: readonly Answer[]
}

export interface Record {
  readonly state: TransactionState
  readonly token: number
  readonly leaseRuns: boolean
}

export interface State {
  readonly record: Record | undefined
  readonly parts: readonly Part[]
  readonly writes: readonly Write[]
  readonly actors: readonly Actor[]
  /**
   * By token and participant, whether the deadline of the claim's `apply` has passed on that participant's clock. The other steps have
   * none here: they may come at any time, which is worse than in life.
   */
  readonly passed: readonly (readonly boolean[])[]
  /** It has been in force; whoever has read that has acted on it. */
  readonly wasApplied: boolean
  /** How many more things may go wrong. */
  readonly faultsLeft: number
}

export const partsCount = 2
export const actorsCount = 3

export const idle: Actor = { phase: 'idle', token: 0, state: undefined, parts: [], applied: [] }

const codes = new Map<unknown, string>()

/** One character for each value that a field may have. */
function code(value: unknown): string {
  const known = codes.get(value)
  if (known !== undefined) return known
  const next = String.fromCharCode(48 + codes.size)
  codes.set(value, next)
  return next
}

const textOf = (values: readonly unknown[]): string => {
  let text = ''
  for (const value of values) text += code(value)
  return text
}

const textOfPart = (part: Part): string =>
  code(part.exists) +
  code(part.guardHolds) +
  code(part.hasEntry) +
  code(part.effect) +
  code(part.tombstone) +
  code(part.tombstoneOf)

const textOfWrite = ({ step, part, token, isBrief }: Write): string =>
  code(step) + code(part) + code(token) + code(isBrief)

/** With the writes that it waits for. */
function textOfActor({ actors, writes }: State, number: number): string {
  const { phase, token, state, parts, applied } = actors[number] ?? idle
  if (phase !== 'working') return code(phase)
  return `${code(token)}${code(state)}${textOf(parts)}${textOf(applied)}${textOfWrites(writes, number)}`
}

function textOfWrites(writes: readonly Write[], by: number | undefined): string {
  const texts: string[] = []
  for (const write of writes) if (write.by === by) texts.push(textOfWrite(write))
  return texts.sort().join('')
}

/** The same for states that differ only in which of the two actors that may do the same does what. */
export function keyOf(state: State): string {
  const { record, parts, writes, passed, wasApplied, faultsLeft } = state
  const [one, other] = [textOfActor(state, 0), textOfActor(state, 1)]
  let text = record ? code(record.state) + code(record.token) + code(record.leaseRuns) : ''
  for (const part of parts) text += textOfPart(part)
  for (const row of passed) text += textOf(row)
  text += code(wasApplied) + code(faultsLeft)
  return `${text} ${textOfWrites(writes, undefined)} ${one < other ? `${one} ${other}` : `${other} ${one}`} ${textOfActor(state, 2)}`
}
