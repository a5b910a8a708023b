import type { TransitionName } from '@strata/consistency/two-phase-commit'
import type { Move } from '../exploration.ts'
import { all, move, nameOf, withActor, withProgress } from './changes.ts'
import type { Rules } from './rules.ts'
import { recordAfter } from './servers.ts'
import { type Actor, type Answer, idle, type Progress, type Record, type State, type Write } from './state.ts'

/** A transition; whoever holds the claim after it sends the first step of the new state to all participants at once. */
export function make(
  rules: Rules,
  state: State,
  {
    number,
    name,
    phase = 'working',
  }: { readonly number: number; readonly name: TransitionName; readonly phase?: 'working' | 'resolving' },
): Move<State> {
  const { token, applied } = state.actors[number] ?? idle
  const record = recordAfter(rules, name, { record: state.record, token, until: state.passed.length })
  const label = `${nameOf(number)}${phase === 'working' ? '' : ', a person'}: ${name}`
  if (record === undefined) return move(`${label}, refused`, withActor(state, number, idle))
  const next = inRecord(rules, state, { record, name })
  const isRaised = rules.transitions[name].token === 'raised'
  const work = rules.work[record.state]
  if (work === undefined || (!isRaised && token === 0)) return move(label, withActor(next, number, idle))
  const working: Actor = {
    phase,
    token: isRaised ? record.token : token,
    until: record.until,
    state: record.state,
    parts: all<Progress>('confirmed'),
    applied: isRaised || (name === 'renew' && !rules.isDoubtKept) ? all<Answer>('none') : applied,
  }
  const begun = withActor(next, number, working)
  const first = phase === 'resolving' ? 'clear' : work.steps[0]
  if (first === undefined) return move(label, begun)
  return move(
    label,
    all<Write['step']>(first).reduce((sent, step, part) => send(rules, sent, { number, part, step }), begun),
  )
}

/** Where the record has a new deadline, it runs from now on. */
function inRecord(
  { isRenewalTold }: Rules,
  state: State,
  { record, name }: { readonly record: Record; readonly name: TransitionName },
): State {
  const isGranted = record.until === state.passed.length
  const isTold = isRenewalTold || name !== 'renew'
  return {
    ...state,
    record: isTold ? record : { ...record, until: state.record?.until ?? 0 },
    passed: isGranted ? [...state.passed, all(false)] : state.passed,
    wasApplied: state.wasApplied || record.state === 'applied',
  }
}

export function send(
  { tombstones }: Rules,
  state: State,
  { number, part, step }: { readonly number: number; readonly part: number; readonly step: Write['step'] },
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
