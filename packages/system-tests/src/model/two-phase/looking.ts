import type { StepName } from '@strata/consistency/two-phase-commit'
import type { Move } from '../exploration.ts'
import { move, nameOf, withActor, withProgress } from './changes.ts'
import { send } from './making.ts'
import type { Rules } from './rules.ts'
import { type Actor, idle, mayCome, type Progress, type State } from './state.ts'

/** After a write that has not matched, or of which it has heard nothing: it is confirmed, refused, or sent again. */
export function* look(
  rules: Rules,
  state: State,
  { number, part }: { readonly number: number; readonly part: number },
): Generator<Move<State>> {
  const label = `${nameOf(number)} looks at ${part}`
  const actor = state.actors[number] ?? idle
  const seen =
    actor.state === 'pending' ? seenOfApply(rules, state, { actor, part }) : seenLater(rules, state, { actor, part })
  if (seen === actor.parts[part]) return
  if (seen === 'ended elsewhere') yield move(label, withActor(state, number, idle))
  else if (typeof seen === 'string') yield move(label, withProgress(state, { number, part, progress: seen }))
  else yield move(label, send(rules, state, { number, part, ...seen }))
}

type Seen = Progress | { readonly step: StepName } | 'ended elsewhere'

interface At {
  readonly actor: Actor
  readonly part: number
}

function seenOfApply({ work, steps }: Rules, { parts, passed }: State, { actor, part }: At): Seen {
  const { exists, hasEntry, tombstone, guardHolds } = parts[part] ?? {}
  const [step] = work.pending?.steps ?? []
  if (hasEntry) return 'confirmed'
  if (tombstone !== 'none') return 'ended elsewhere'
  // Nothing comes of another: it renews its claim, or lets go of it.
  if (steps.apply.checksDeadline && passed[actor.until]?.[part]) return 'unanswered'
  return exists && guardHolds && step ? { step } : 'refused'
}

function seenLater({ work, transitions }: Rules, state: State, { actor, part }: At): Seen {
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
