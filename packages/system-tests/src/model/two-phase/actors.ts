import type { TransitionName } from '@strata/consistency/two-phase-commit'
import type { Move } from '../exploration.ts'
import { move, nameOf, withActor } from './changes.ts'
import { look } from './looking.ts'
import { make } from './making.ts'
import { personMoves, resolving, sticking } from './person.ts'
import type { Rules } from './rules.ts'
import { isLost, recordAfter } from './servers.ts'
import { type Actor, idle, type State } from './state.ts'

const claiming: readonly TransitionName[] = ['submit', 'begin', 'start', 'take-over', 'cancel']

/** Everything that an actor may do next by itself. */
export function* actorMoves(rules: Rules, state: State, number: number): Generator<Move<State>> {
  const actor = state.actors[number]
  if (actor?.phase === 'idle') yield* claims(rules, state, number)
  if (actor?.phase === 'resolving') yield* personMoves(rules, state, number)
  if (actor?.phase !== 'working' || actor.state === undefined) return
  for (const [part, progress] of actor.parts.entries()) {
    if (progress === 'unanswered') yield* look(rules, state, { number, part })
  }
  if (isLost(rules, state.record, actor)) {
    if (!actor.parts.includes('sent'))
      yield move(`${nameOf(number)} notes that its claim is lost`, withActor(state, number, idle))
    return
  }
  const work = rules.work[actor.state]
  for (const name of [work?.confirmed, work?.refused]) {
    if (name !== undefined && mayMake(rules, actor, name)) yield make(rules, state, { number, name })
  }
  yield* renewals(rules, state, number)
  yield* sticking(state, number)
}

/** Once its time is over, it renews its claim or lets go of it; what it has sent with the old deadline may still be under way. */
function* renewals(rules: Rules, state: State, number: number): Generator<Move<State>> {
  const { state: of, until, token, parts } = state.actors[number] ?? idle
  const { record } = state
  const isLate = of === 'pending' && state.passed[until]?.includes(true)
  if (isLate) yield move(`${nameOf(number)} gives up`, withActor(state, number, idle))
  if (parts.includes('sent') || !recordAfter(rules, 'renew', { record, token, until: 0 })) return
  const renewed = make(rules, state, { number, name: 'renew' })
  if (isLate || !record?.leaseRuns) yield renewed
  // In time, because it is slow. Elsewhere than in `pending` nothing would be new.
  else if (of === 'pending') yield { ...renewed, kind: 'fault' }
}

function* claims(rules: Rules, state: State, number: number): Generator<Move<State>> {
  const transit = { record: state.record, token: 0, until: 0 }
  for (const name of claiming) if (recordAfter(rules, name, transit)) yield make(rules, state, { number, name })
  yield* resolving(rules, state, number)
}

/** What it has to know before it makes a transition. */
function mayMake({ transitions }: Rules, actor: Actor, name: TransitionName): boolean {
  const { needs } = transitions[name]
  const { parts } = actor
  if (needs === 'every-step-confirmed') return parts.every(each => each === 'confirmed' || each === 'missing')
  if (needs === 'a-step-refused') return parts.includes('refused') && !parts.includes('sent')
  return needs === 'nothing'
}
