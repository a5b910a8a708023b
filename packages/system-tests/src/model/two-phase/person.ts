import type { Move } from '../exploration.ts'
import { move, nameOf, withActor } from './changes.ts'
import { make } from './making.ts'
import type { Rules } from './rules.ts'
import { recordAfter } from './servers.ts'
import { idle, mayCome, type State } from './state.ts'

/** Whoever has found a document missing may leave the rest to a person, instead of waiting until nothing can come to it any more. */
export function* sticking(state: State, number: number): Generator<Move<State>> {
  const { record, parts: documents } = state
  const { state: of, parts } = state.actors[number] ?? idle
  if (of !== 'canceling' || record?.state !== 'canceling' || documents.every(({ exists }) => exists)) return
  const isSettled = parts.every((each, part) =>
    each === 'unanswered' ? documents[part]?.exists === false : each === 'confirmed' || each === 'missing',
  )
  if (!isSettled) return
  const stuck = { ...state, record: { ...record, isStuck: true, leaseRuns: false } }
  yield move(`${nameOf(number)} notes that it is stuck`, withActor(stuck, number, idle))
}

/** A person claims what is stuck, and clears the documents of it. */
export function* resolving(rules: Rules, state: State, number: number): Generator<Move<State>> {
  const { record, parts, passed } = state
  if (!record?.isStuck || !recordAfter(rules, 'take-over', { record, token: 0, until: 0 })) return
  const isTooEarly = parts.some(({ exists }, part) => !exists && mayCome(passed, part, record.until))
  if (!(rules.isPersonPatient && isTooEarly))
    yield make(rules, state, { number, name: 'take-over', phase: 'resolving' })
}

/** Once each document is cleared that there is, it is resolved; where one is not answered, the person is told so. */
export function* personMoves(rules: Rules, state: State, number: number): Generator<Move<State>> {
  const { parts } = state.actors[number] ?? idle
  if (parts.includes('sent')) return
  if (parts.includes('unanswered')) yield move(`${nameOf(number)}, a person, gives up`, withActor(state, number, idle))
  else yield make(rules, state, { number, name: 'resolve', phase: 'resolving' })
}
