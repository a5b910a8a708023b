import type { Move } from '../exploration.ts'
import { type Actor, type Progress, partsCount, type State } from './state.ts'

const names = ['A', 'B', 'C'] as const

export const nameOf = (actor: number): string => names[actor] ?? ''

export const all = <T>(value: T): T[] => Array.from({ length: partsCount }, () => value)

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
