import type { Model, Move } from '../exploration.ts'
import { actorMoves } from './actors.ts'
import { canonical } from './canonical.ts'
import { all } from './changes.ts'
import { keyOf } from './key.ts'
import type { Rules } from './rules.ts'
import { isEnded } from './servers.ts'
import { actorsCount, idle, type Part, partsCount, type State } from './state.ts'
import { accidentMoves, timeMoves, writeMoves } from './surroundings.ts'

const sound: Part = {
  exists: true,
  guardHolds: true,
  hasEntry: false,
  effect: 0,
  tombstone: 'none',
  tombstoneOf: 0,
}

/** How a transaction may find its participants: the first is always sound, the second as it says here. */
const others = {
  'both can': sound,
  'one must not': { ...sound, guardHolds: false },
  'one is missing': { ...sound, exists: false },
} as const

export type Circumstance = keyof typeof others

export const circumstances: readonly Circumstance[] = ['both can', 'one must not', 'one is missing']

/**
 * One transaction of two participants, and three actors, each of which may run it, take it over and recover it, cancel it, and resolve it
 * as a person. Faults are crashes, leases that run out under their holder, clocks that differ, renewals, and answers that are lost:
 * what was sent may come at any time later. Somebody may make a document that is missing.
 */
export function twoPhaseModel(rules: Rules, among: readonly Circumstance[] = circumstances): Model<State | 'start'> {
  return {
    start: 'start',
    key: state => (state === 'start' ? state : keyOf(state)),
    moves: (state, canFail) => (state === 'start' ? starts(among) : moves(rules, state, canFail)),
    violation: state => (state === 'start' ? undefined : violation(state)),
    isEnd: state => state !== 'start' && isEnded(state.record?.state),
  }
}

function* starts(among: readonly Circumstance[]): Generator<Move<State>> {
  for (const label of among) {
    const parts = Array.from({ length: partsCount }, (_, part) => (part === 0 ? sound : others[label]))
    const actors = Array.from({ length: actorsCount }, () => idle)
    yield {
      label,
      kind: 'step',
      next: { record: undefined, parts, writes: [], actors, passed: [all(true)], wasApplied: false },
    }
  }
}

function* moves(rules: Rules, state: State, canFail: boolean): Generator<Move<State>> {
  for (const each of allMoves(rules, state))
    if (canFail || each.kind !== 'fault') yield { ...each, next: canonical(rules, each.next) }
}

function* allMoves(rules: Rules, state: State): Generator<Move<State>> {
  for (const number of state.actors.keys()) yield* actorMoves(rules, state, number)
  yield* writeMoves(rules, state)
  yield* timeMoves(state)
  yield* accidentMoves(state)
}

/** What must never be seen in the data, by anybody at any time. */
function violation({ record, parts, wasApplied }: State): string | undefined {
  if (parts.some(({ effect }) => effect < 0 || effect > 1)) return 'a participant is applied twice, or reversed twice'
  if (record === undefined) return undefined
  const { state } = record
  const isCanceled = state === 'canceling' || state === 'canceled'
  if (wasApplied && isCanceled) return 'both committed and canceled'
  if (parts.some(({ tombstone }) => tombstone === (isCanceled ? 'done' : wasApplied ? 'canceled' : 'done')))
    return 'a participant tells another end than the record'
  if ((state === 'applied' || state === 'done') && parts.some(({ effect }) => effect === 0))
    return 'committed by halves'
  if (state === 'canceled' && parts.some(({ effect }) => effect === 1)) return 'canceled by halves'
  return isEnded(state) && parts.some(({ hasEntry }) => hasEntry) ? 'ended with an entry left' : undefined
}
