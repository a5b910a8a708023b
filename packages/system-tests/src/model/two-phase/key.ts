import { type Actor, type Part, type Progress, partsCount, type State, type Write } from './state.ts'

/** The number of a value among all that a field may have. */
const numberIn =
  <T>(...values: readonly T[]) =>
  (value: T): number => {
    const number = values.indexOf(value)
    if (number < 0) throw new Error(`Key has no code for ${String(value)}: widen it`)
    return number
  }

const ofState = numberIn<Actor['state']>(undefined, 'initial', 'pending', 'applied', 'done', 'canceling', 'canceled')
const ofStep = numberIn<Write['step']>('apply', 'release', 'reverse', 'bar', 'clear')
const ofProgress = numberIn<Progress>('sent', 'unanswered', 'confirmed', 'missing', 'refused')
const ofAnswer = numberIn<Actor['applied'][number]>('none', 'known', 'unsure')
const ofTombstone = numberIn<Part['tombstone']>('none', 'done', 'canceled')
const ofPhase = numberIn<Actor['phase']>('idle', 'crashed', 'working', 'resolving')

/** Deadlines and tokens are numbered anew all the time, and stay small. */
const smallMax = 8

function small(value: number): number {
  if (value < 0 || value >= smallMax) throw new Error(`Key has no code for number ${value}: widen it`)
  return value
}

/** With its column of the deadlines. */
function codeOfPart({ parts, passed }: State, number: number): number {
  const { exists, guardHolds, hasEntry, effect, tombstone, tombstoneOf } = parts[number] as Part
  let code = (exists ? 1 : 0) + (guardHolds ? 2 : 0) + (hasEntry ? 4 : 0) + 8 * small(effect + 1)
  code = (code * 3 + ofTombstone(tombstone)) * smallMax + small(tombstoneOf)
  for (const row of passed) code = code * 2 + (row[number] ? 1 : 0)
  return code
}

/** Of five steps. */
const writeMax = 5 * partsCount * smallMax + 1

const codeOfWrite = ({ step, part, until }: Write, isSwapped: boolean): number =>
  (ofStep(step) * partsCount + (isSwapped ? partsCount - 1 - part : part)) * smallMax + small(until) + 1

/** With the writes that it waits for: no more than one for each participant. */
function codeOfActor({ actors, writes }: State, number: number, isSwapped: boolean): number {
  const { phase, token, until, state, parts, applied } = actors[number] as Actor
  if (state === undefined) return ofPhase(phase)
  let code = ((small(token) * smallMax + small(until)) * 7 + ofState(state)) * 2 + (phase === 'working' ? 0 : 1)
  for (let at = 0; at < partsCount; at++) {
    const part = isSwapped ? partsCount - 1 - at : at
    code = (code * 5 + ofProgress(parts[part] ?? 'sent')) * 3 + ofAnswer(applied[part] ?? 'none')
    const write = writes.find(each => each.by === number && each.part === part)
    code = code * writeMax + (write ? codeOfWrite(write, isSwapped) : 0)
  }
  return code + 2
}

function textIn(isSwapped: boolean, state: State, partCodes: readonly number[]): string {
  const { record, writes, actors, passed, wasApplied } = state
  let head = (wasApplied ? 1 : 0) + (record?.leaseRuns ? 2 : 0) + (record?.isStuck ? 4 : 0)
  head = (head * smallMax + small(passed.length)) * 7 + ofState(record?.state)
  if (record) head = (head * smallMax + small(record.token)) * smallMax + small(record.until)
  const actorCodes = actors.map((_, number) => codeOfActor(state, number, isSwapped)).sort(ascending)
  const late: number[] = []
  for (const write of writes) if (write.by === undefined) late.push(codeOfWrite(write, isSwapped))
  const ordered = isSwapped ? partCodes.toReversed() : partCodes
  // A late write's code is small, and the others are so many as there are always.
  return textOf([head, ...ordered, ...actorCodes]) + String.fromCharCode(...late.sort(ascending))
}

const ascending = (one: number, other: number): number => one - other

/** Each number as two characters. */
function textOf(codes: readonly number[]): string {
  const units: number[] = []
  for (const code of codes) units.push(code >>> 16, code & 0xffff)
  return String.fromCharCode(...units)
}

/** The same for states that differ only in which of the actors does what, or which of two alike participants has it done. */
export function keyOf(state: State): string {
  const [one, other] = state.parts
  const codes = state.parts.map((_, number) => codeOfPart(state, number))
  const [first = 0, second = 0] = codes
  const isAlike = one?.exists === other?.exists && one?.guardHolds === other?.guardHolds
  if (!isAlike || first < second) return textIn(false, state, codes)
  if (first > second) return textIn(true, state, codes)
  const [text = ''] = [textIn(false, state, codes), textIn(true, state, codes)].sort()
  return text
}
