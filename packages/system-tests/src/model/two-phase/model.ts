import type { Model, Move } from '../exploration.ts'
import { actorMoves } from './actors.ts'
import { canonical } from './canonical.ts'
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

/** The second participant, as a transaction may find it. */
const others = {
  'both can': sound,
  'one must not': { ...sound, guardHolds: false },
  'one is missing': { ...sound, exists: false },
} as const

/**
 * One transaction of two participants, its three actors (each may run it, take it over and recover it, one may cancel it), and up to so
 * many faults: crashes, leases that run out under their holder, clocks that differ, answers and writes lost, writes that come at any
 * time later.
 */
export function twoPhaseModel(rules: Rules): Model<State | 'start'> {
  return {
    start: 'start',
    key: state => (state === 'start' ? state : keyOf(state)),
    moves: (state, canFail) => (state === 'start' ? starts() : moves(rules, state, canFail)),
    violation: state => (state === 'start' ? undefined : violation(state)),
    isEnd: state => state !== 'start' && isEnded(state.record?.state),
  }
}

const all = <T>(value: T): T[] => Array.from({ length: partsCount }, () => value)

function* starts(): Generator<Move<State>> {
  for (const [label, other] of Object.entries(others)) {
    const parts = Array.from({ length: partsCount }, (_, part) => (part === 0 ? sound : other))
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
