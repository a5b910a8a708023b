import type { Protocol } from '@strata/consistency/two-phase-commit'
import type { Move } from '../exploration.ts'
import { move, nameOf, withActor, withProgress } from './actors.ts'
import { mayCome, partsAfter } from './servers.ts'
import { type Answer, actorsCount, idle, type State, type Write } from './state.ts'

/** Writes under way come, in any order; or nobody waits for their answer any more, and they may come later, or never. */
export function* writeMoves(protocol: Protocol, state: State): Generator<Move<State>> {
  for (const write of state.writes) {
    const { step, part, by, token } = write
    const what = `${step} of claim ${token} to ${part}`
    yield move(`${what} comes`, arrived(protocol, state, write))
    if (by === undefined) continue
    const writes = state.writes.map(each => (each === write ? { ...each, by: undefined } : each))
    const unanswered = withProgress({ ...state, writes }, { number: by, part, progress: 'unanswered' })
    yield* fault(
      move(`${what} is not answered`, step === 'apply' ? withAnswer(unanswered, write, 'unsure') : unanswered),
    )
  }
}

/** What time does. */
export function* timeMoves(state: State): Generator<Move<State>> {
  yield* deadlineMoves(state)
  for (const [part, { tombstone, tombstoneOf }] of state.parts.entries()) {
    if (tombstone === 'none' || mayCome(state, part, tombstoneOf)) continue
    const removed = { tombstone: 'none', tombstoneOf: 0 } as const
    const parts = state.parts.map((each, at) => (at === part ? { ...each, ...removed } : each))
    yield move(`the tombstone at ${part} is removed`, { ...state, parts })
  }
}

function* deadlineMoves(state: State): Generator<Move<State>> {
  const { record, actors, passed } = state
  const holder = (token: number) => actors.find(each => each.phase === 'working' && each.token === token)
  if (record?.leaseRuns) {
    const over = move(`the lease of claim ${record.token} runs out`, {
      ...state,
      record: { ...record, leaseRuns: false },
    })
    yield* holder(record.token) ? fault(over) : [over]
  }
  for (const [token, each] of passed.entries()) {
    for (const [part, isPassed] of each.entries()) {
      if (isPassed) continue
      const rows = passed.map((row, at) => (at === token ? marked(row, part) : row))
      const over = move(`the deadline of claim ${token} passes at ${part}`, { ...state, passed: rows })
      const isEarly = holder(token)?.state === 'pending' && record?.token === token && record.leaseRuns
      yield* isEarly ? fault(over) : [over]
    }
  }
}

/** What goes wrong elsewhere: processes crash, and somebody makes the document that was missing. */
export function* accidentMoves(state: State): Generator<Move<State>> {
  const isLast = state.actors.filter(({ phase }) => phase === 'crashed').length === actorsCount - 1
  for (const [number, { phase }] of state.actors.entries()) {
    if (phase !== 'working' || isLast) continue
    yield* fault(move(`${nameOf(number)} crashes`, withActor(state, number, { ...idle, phase: 'crashed' })))
  }
  for (const [part, { exists }] of state.parts.entries()) {
    if (exists) continue
    const parts = state.parts.map((each, at) => (at === part ? { ...each, exists: true } : each))
    yield* fault(move(`somebody makes the document of ${part}`, { ...state, parts }))
  }
}

const marked = (row: readonly boolean[], part: number): boolean[] => row.map((each, at) => each || at === part)

function arrived(protocol: Protocol, state: State, write: Write): State {
  const { by, part, step } = write
  const parts = partsAfter(protocol, state, write)
  const after = { ...state, parts: parts ?? state.parts, writes: state.writes.filter(each => each !== write) }
  if (by === undefined) return after
  const told = withProgress(after, { number: by, part, progress: parts ? 'confirmed' : 'unanswered' })
  if (step !== 'apply') return told
  if (parts) return withAnswer(told, write, 'written')
  // Of no use to later claims.
  return write.token === 1 ? withAnswer(told, write, 'refused') : told
}

/** Once unsure, it stays so: what was not answered may still come. */
function withAnswer(state: State, { by, part }: Write, answer: Answer): State {
  const note = (known: Answer, at: number): Answer => (at === part && known !== 'unsure' ? answer : known)
  const actors = state.actors.map((each, at) => (at === by ? { ...each, applied: each.applied.map(note) } : each))
  return { ...state, actors }
}

function* fault({ label, next }: Move<State>): Generator<Move<State>> {
  if (next.faultsLeft === 0) return
  yield { label, isFault: true, next: { ...next, faultsLeft: next.faultsLeft - 1 } }
}

/**
 * The state with all deadlines passed that no write depends on: nobody has sent an `apply` that they would keep from being
 * written, and nobody will.
 */
export function settled(state: State): State {
  const { actors, writes } = state
  const isSettled = (token: number, part: number): boolean =>
    !actors.some(each => each.token === token && each.state === 'pending' && each.phase === 'working') &&
    !writes.some(each => each.token === token && each.part === part && each.step === 'apply')
  if (!state.passed.some((row, token) => row.some((each, part) => !each && isSettled(token, part)))) return state
  const passed = state.passed.map((row, token) => row.map((each, part) => each || isSettled(token, part)))
  return { ...state, passed }
}
