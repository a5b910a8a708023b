import type { Move } from '../exploration.ts'
import { move, nameOf, withActor, withProgress } from './changes.ts'
import type { Rules } from './rules.ts'
import { partsAfter } from './servers.ts'
import { type Answer, actorsCount, crashed, mayCome, type State, type Write } from './state.ts'

/**
 * Writes under way come, in any order; or nobody waits for their answer any more, and they may come later, or never. Those that would
 * not match then are left where they are: it is the same as if they came never.
 */
export function* writeMoves(rules: Rules, state: State): Generator<Move<State>> {
  for (const write of state.writes) {
    const { step, part, by } = write
    const what = `${step} to ${part}`
    const parts = partsAfter(rules, state, write)
    if (by === undefined) {
      if (parts) yield { label: `late ${what} comes`, next: { ...without(state, write), parts }, kind: 'chance' }
      continue
    }
    yield move(`${nameOf(by)}'s ${what} ${parts ? 'is made' : 'does not match'}`, answered(state, write, parts))
    const writes = state.writes.map(each => (each === write ? { ...each, by: undefined } : each))
    const unanswered = withProgress({ ...state, writes }, { number: by, part, progress: 'unanswered' })
    yield fault(
      move(
        `${nameOf(by)}'s ${what} is not answered`,
        step === 'apply' ? withAnswer(unanswered, write, 'unsure') : unanswered,
      ),
    )
  }
}

/** What time does. */
export function* timeMoves(state: State): Generator<Move<State>> {
  yield* deadlineMoves(state)
  for (const [part, { tombstone, tombstoneOf }] of state.parts.entries()) {
    if (tombstone === 'none' || mayCome(state.passed, part, tombstoneOf)) continue
    const removed = { tombstone: 'none', tombstoneOf: 0 } as const
    const parts = state.parts.map((each, at) => (at === part ? { ...each, ...removed } : each))
    yield move(`the tombstone at ${part} is removed`, { ...state, parts })
  }
}

function* deadlineMoves(state: State): Generator<Move<State>> {
  const { record, actors, passed } = state
  const isHeld = actors.some(each => each.state !== undefined && each.token === record?.token)
  if (record?.leaseRuns) {
    const over = move('the lease runs out', { ...state, record: { ...record, leaseRuns: false } })
    yield isHeld ? fault(over) : over
  }
  const isInTime = (until: number): boolean =>
    record?.leaseRuns === true &&
    actors.some(each => each.until === until && each.state === 'pending' && each.token === record.token)
  for (const [until, row] of passed.entries()) {
    for (const [part, isPassed] of row.entries()) {
      if (isPassed) continue
      const rows = passed.map((each, at) => (at === until ? marked(each, part) : each))
      const over = move(`deadline ${until} passes at ${part}`, { ...state, passed: rows })
      yield isInTime(until) ? fault(over) : over
    }
  }
}

/** What goes wrong elsewhere: processes crash, and somebody makes the document that was missing. */
export function* accidentMoves(state: State): Generator<Move<State>> {
  const isLast = state.actors.filter(({ phase }) => phase === 'crashed').length === actorsCount - 1
  for (const [number, { state: of }] of state.actors.entries()) {
    if (of === undefined || isLast) continue
    yield fault(move(`${nameOf(number)} crashes`, withActor(state, number, crashed)))
  }
  for (const [part, { exists }] of state.parts.entries()) {
    if (exists) continue
    const parts = state.parts.map((each, at) => (at === part ? { ...each, exists: true } : each))
    yield fault(move(`somebody makes the document of ${part}`, { ...state, parts }))
  }
}

const marked = (row: readonly boolean[], part: number): boolean[] => row.map((each, at) => each || at === part)

const without = (state: State, write: Write): State => ({
  ...state,
  writes: state.writes.filter(each => each !== write),
})

function answered(state: State, write: Write, parts: State['parts'] | undefined): State {
  const { by = 0, part, step } = write
  const after = { ...without(state, write), parts: parts ?? state.parts }
  const told = withProgress(after, {
    number: by,
    part,
    progress: parts ? 'confirmed' : step === 'clear' ? 'missing' : 'unanswered',
  })
  return step === 'apply' ? withAnswer(told, write, 'known') : told
}

/** Once unsure, it stays so: what was not answered may still come. */
function withAnswer(state: State, { by, part }: Write, answer: Answer): State {
  const note = (known: Answer, at: number): Answer => (at === part && known !== 'unsure' ? answer : known)
  const actors = state.actors.map((each, at) =>
    at === by && each.token === 1 ? { ...each, applied: each.applied.map(note) } : each,
  )
  return { ...state, actors }
}

const fault = (each: Move<State>): Move<State> => ({ ...each, kind: 'fault' })
