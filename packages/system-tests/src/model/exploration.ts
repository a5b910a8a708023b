import { Found } from './found.ts'

/** One thing that can happen next. */
export interface Move<State> {
  readonly label: string
  readonly next: State
  /**
   * `step`: happens at some time if nothing else does. `chance`: may happen at any time, and never has to. `fault`: a chance of which
   * only so many are explored.
   */
  readonly kind: 'step' | 'chance' | 'fault'
}

/** A system as far as its interleavings go. */
export interface Model<State> {
  readonly start: State
  /** Everything that can happen next; nothing once all is over. Without faults where no more are explored. */
  moves(state: State, canFail: boolean): Iterable<Move<State>>
  /** The same text for states that need not be told apart. */
  key(state: State): string
  /** What must never be so. */
  violation(state: State): string | undefined
  /** Whether all that was begun has ended. */
  isEnd(state: State): boolean
}

export interface Violation {
  readonly text: string
  /** How many it takes, at least. */
  readonly faults: number
  /** What happened, from the start on. */
  readonly trace: readonly string[]
}

export interface Exploration {
  readonly states: number
  readonly moves: number
  readonly violation: Violation | undefined
}

/**
 * Visits every state that a model can be in after so many faults, those first that take fewer. A state that takes fewer is not visited
 * again with more of them: whatever can go wrong then has been seen. Besides {@link Model.violation} it finds a state that nobody can
 * leave before the end, and one from which the end cannot be reached any more by steps alone.
 *
 * Keys are compared in full: no state is taken for another.
 */
export function explore<State>(model: Model<State>, faultsMax: number): Exploration {
  const found = new Found(model)
  for (let faults = 0; faults <= faultsMax; faults++) {
    for (const at of found.after(faults)) {
      const state = found.take(at)
      const text = model.violation(state)
      if (text !== undefined) return result(found, { text, at })
      for (const move of model.moves(state, faults < faultsMax)) found.add(at, move)
    }
  }
  const at = found.stuck()
  return result(found, at === undefined ? undefined : { text: 'does not end any more, though nothing goes wrong', at })
}

function result<State>(found: Found<State>, wrong?: { readonly text: string; readonly at: number }): Exploration {
  const { states, moves } = found
  if (wrong === undefined) return { states, moves, violation: undefined }
  const { text, at } = wrong
  return { states, moves, violation: { text, faults: found.faultsOf(at), trace: found.trace(at) } }
}
