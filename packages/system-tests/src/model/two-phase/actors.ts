import type { Protocol, StepName, TransitionName } from '@strata/consistency/two-phase-commit'
import type { Move } from '../exploration.ts'
import { isLost, recordAfter } from './servers.ts'
import { type Actor, type Answer, idle, mayCome, type Progress, partsCount, type State } from './state.ts'

const names = ['A', 'B', 'C'] as const

const claiming: readonly TransitionName[] = ['submit', 'begin', 'start', 'take-over', 'cancel']

export const nameOf = (actor: number): string => names[actor] ?? ''

const all = <T>(value: T): T[] => Array.from({ length: partsCount }, () => value)

/** Everything that an actor may do next by itself. */
export function* actorMoves(protocol: Protocol, state: State, number: number): Generator<Move<State>> {
  const actor = state.actors[number]
  if (actor?.phase === 'idle') yield* claims(protocol, state, number)
  if (actor?.phase !== 'working' || actor.state === undefined) return
  for (const [part, progress] of actor.parts.entries()) {
    if (progress === 'unanswered') yield* look(protocol, state, { number, part })
  }
  if (isLost(protocol, state.record, actor)) {
    if (!actor.parts.includes('sent'))
      yield move(`${nameOf(number)} notes that its claim is lost`, withActor(state, number, idle))
    return
  }
  const work = protocol.work[actor.state]
  for (const name of [work?.confirmed, work?.refused]) {
    if (name !== undefined && mayMake(protocol, actor, name)) yield make(protocol, state, { number, name })
  }
  yield* renewals(protocol, state, number)
}

/** Once its time is over, it renews its claim or lets go of it; what it has sent with the old deadline may still be under way. */
function* renewals(protocol: Protocol, state: State, number: number): Generator<Move<State>> {
  const { state: of, until, token, parts } = state.actors[number] ?? idle
  const { record } = state
  const isLate = of === 'pending' && state.passed[until]?.includes(true)
  if (isLate) yield move(`${nameOf(number)} gives up`, withActor(state, number, idle))
  if (parts.includes('sent') || !recordAfter(protocol, 'renew', { record, token, until: 0 })) return
  const renewed = make(protocol, state, { number, name: 'renew' })
  if (isLate || !record?.leaseRuns) yield renewed
  // In time, because it is slow. Elsewhere than in `pending` nothing would be new.
  else if (of === 'pending') yield { ...renewed, kind: 'fault' }
}

function* claims(protocol: Protocol, state: State, number: number): Generator<Move<State>> {
  const transit = { record: state.record, token: 0, until: 0 }
  for (const name of claiming) if (recordAfter(protocol, name, transit)) yield make(protocol, state, { number, name })
}

/** What it has to know before it makes a transition. */
function mayMake({ transitions }: Protocol, actor: Actor, name: TransitionName): boolean {
  const { needs } = transitions[name]
  const { parts } = actor
  if (needs === 'every-step-confirmed') return parts.every(each => each === 'confirmed' || each === 'missing')
  if (needs === 'a-step-refused') return parts.includes('refused') && !parts.includes('sent')
  return needs === 'nothing'
}

/** A transition; whoever holds the claim after it sends the first step of the new state to all participants at once. */
function make(
  protocol: Protocol,
  state: State,
  { number, name }: { readonly number: number; readonly name: TransitionName },
): Move<State> {
  const { token, applied } = state.actors[number] ?? idle
  const record = recordAfter(protocol, name, { record: state.record, token, until: state.passed.length })
  const label = `${nameOf(number)}: ${name}`
  if (record === undefined) return move(`${label}, refused`, withActor(state, number, idle))
  const isRaised = protocol.transitions[name].token === 'raised'
  const passed = record.until === state.passed.length ? [...state.passed, all(false)] : state.passed
  const next = { ...state, record, passed, wasApplied: state.wasApplied || record.state === 'applied' }
  const work = protocol.work[record.state]
  if (work === undefined || (!isRaised && token === 0)) return move(label, withActor(next, number, idle))
  const working: Actor = {
    phase: 'working',
    token: isRaised ? record.token : token,
    until: record.until,
    state: record.state,
    parts: all<Progress>('confirmed'),
    applied: isRaised ? all<Answer>('none') : applied,
  }
  const begun = withActor(next, number, working)
  const [first] = work.steps
  if (first === undefined) return move(label, begun)
  return move(
    label,
    all(first).reduce((sent, step, part) => send(protocol, sent, { number, part, step }), begun),
  )
}

function send(
  { tombstones }: Protocol,
  state: State,
  { number, part, step }: { readonly number: number; readonly part: number; readonly step: StepName },
): State {
  const { token, until, applied } = state.actors[number] ?? idle
  const isBrief = tombstones.isBriefWhenNothingIsUnderWay && applied[part] === 'known'
  const sent = withProgress(state, { number, part, progress: 'sent' })
  const isAgain = step === 'apply' && token === 1 && applied[part] !== 'none'
  const isLasting = step === 'apply' || (tombstones.outlivesWrites && !isBrief)
  const next = isAgain ? withUnsure(sent, number, part) : sent
  return { ...next, writes: [...state.writes, { step, part, until: isLasting ? until : 0, by: number }] }
}

/** An \`apply\` that is sent again. */
function withUnsure(state: State, number: number, part: number): State {
  const note = (answer: Answer, at: number): Answer => (at === part ? 'unsure' : answer)
  const actors = state.actors.map((each, at) => (at === number ? { ...each, applied: each.applied.map(note) } : each))
  return { ...state, actors }
}

/** After a write that has not matched, or of which it has heard nothing: it is confirmed, refused, or sent again. */
function* look(
  protocol: Protocol,
  state: State,
  { number, part }: { readonly number: number; readonly part: number },
): Generator<Move<State>> {
  const label = `${nameOf(number)} looks at ${part}`
  const actor = state.actors[number] ?? idle
  const seen =
    actor.state === 'pending'
      ? seenOfApply(protocol, state, { actor, part })
      : seenLater(protocol, state, { actor, part })
  if (seen === actor.parts[part]) return
  if (seen === 'ended elsewhere') yield move(label, withActor(state, number, idle))
  else if (typeof seen === 'string') yield move(label, withProgress(state, { number, part, progress: seen }))
  else yield move(label, send(protocol, state, { number, part, ...seen }))
}

type Seen = Progress | { readonly step: StepName } | 'ended elsewhere'

interface At {
  readonly actor: Actor
  readonly part: number
}

function seenOfApply({ work, steps }: Protocol, { parts, passed }: State, { actor, part }: At): Seen {
  const { exists, hasEntry, tombstone, guardHolds } = parts[part] ?? {}
  const [step] = work.pending?.steps ?? []
  if (hasEntry) return 'confirmed'
  if (tombstone !== 'none') return 'ended elsewhere'
  // Nothing comes of another: it renews its claim, or lets go of it.
  if (steps.apply.checksDeadline && passed[actor.until]?.[part]) return 'unanswered'
  return exists && guardHolds && step ? { step } : 'refused'
}

function seenLater({ work, transitions }: Protocol, state: State, { actor, part }: At): Seen {
  const { exists, hasEntry, tombstone } = state.parts[part] ?? {}
  const rule = work[actor.state ?? 'initial']
  const [first, second = first] = rule?.steps ?? []
  if (hasEntry && first) return { step: first }
  if (actor.state === 'applied' || tombstone === 'canceled') return 'confirmed'
  if (exists && second) return { step: second }
  // Nowhere to leave a tombstone. So it counts only once no write can come to a document that is made meanwhile.
  const isTooEarly = rule && transitions[rule.confirmed].waitsForMissing && mayCome(state.passed, part, actor.until)
  return isTooEarly ? 'unanswered' : 'missing'
}

export const move = (label: string, next: State): Move<State> => ({ label, next, kind: 'step' })

export function withProgress(
  state: State,
  { number, part, progress }: { readonly number: number; readonly part: number; readonly progress: Progress },
): State {
  const replace = (actor: Actor): Actor => ({
    ...actor,
    parts: actor.parts.map((each, at) => (at === part ? progress : each)),
  })
  return { ...state, actors: state.actors.map((each, at) => (at === number ? replace(each) : each)) }
}

/** An actor that turns to something else: it waits for no answer any more. */
export function withActor(state: State, number: number, actor: Actor): State {
  return {
    ...state,
    actors: state.actors.map((each, at) => (at === number ? actor : each)),
    writes: state.writes.map(write => (write.by === number ? { ...write, by: undefined } : write)),
  }
}
