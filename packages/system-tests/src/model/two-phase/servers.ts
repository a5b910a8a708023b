import type { TransactionState, TransitionName, TransitionRule } from '@strata/consistency/two-phase-commit'
import type { Rules } from './rules.ts'
import type { Actor, Part, Record, State, Write } from './state.ts'

export interface Transit {
  readonly record: Record | undefined
  /** Of whoever makes it. */
  readonly token: number
  /** What the next deadline would be. */
  readonly until: number
}

/** What the record's server does with a transition: the record as it is then, or undefined where its filter does not match. */
export function recordAfter(rules: Rules, name: TransitionName, transit: Transit): Record | undefined {
  const rule = rules.transitions[name]
  if (!isMatched(rule, transit)) return undefined
  const { record: last = none } = transit
  const state = rule.to === 'same' ? transit.record?.state : rule.to === 'given' ? 'canceled' : rule.to
  if (state === undefined) return undefined
  const isLeased = rule.token === 'raised' || rule.to === 'same'
  return {
    state,
    token: rule.token === 'raised' ? last.token + 1 : last.token,
    leaseRuns: isLeased || (last.leaseRuns && !isEnded(state)),
    until: isLeased && state === 'pending' ? transit.until : last.until,
    isStuck: last.isStuck && state === transit.record?.state,
  }
}

const none = { token: 0, leaseRuns: false, until: 0, isStuck: false }

export const isEnded = (state: TransactionState | undefined): boolean => state === 'done' || state === 'canceled'

function isMatched({ from, token: asked, needsFreeLease }: TransitionRule, { record, token }: Transit): boolean {
  if (record === undefined ? from.length > 0 : !from.includes(record.state)) return false
  if (asked === 'checked' && record?.token !== token) return false
  return !(needsFreeLease && record?.leaseRuns)
}

/** What a participant's server does with a write: the parts as they are then, or undefined where its filter does not match. */
export function partsAfter(rules: Rules, state: State, write: Write): State['parts'] | undefined {
  const { step, part: number, until } = write
  const part = state.parts[number]
  if (!part?.exists) return undefined
  if (step === 'clear') return state.parts.map((each, at) => (at === number ? cleared(rules, each, until) : each))
  const rule = rules.steps[step]
  if (part.hasEntry !== rule.needsEntry) return undefined
  if (rule.refusedByTombstone && part.tombstone !== 'none') return undefined
  if (rule.checksGuard && !part.guardHolds) return undefined
  if (rule.checksDeadline && step === 'apply' && state.passed[until]?.[number]) return undefined
  const changed = {
    ...part,
    effect: part.effect + { apply: 1, reverse: -1, none: 0 }[rule.effect],
    hasEntry: { added: true, removed: false, kept: part.hasEntry }[rule.entry],
    ...(rule.tombstone === 'none' ? {} : { tombstone: rule.tombstone, tombstoneOf: until }),
  }
  return state.parts.map((each, at) => (at === number ? changed : each))
}

/** A person is told of what is left there, and undoes it: it counts as done at once. */
const cleared = ({ isClearingTold }: Rules, part: Part, until: number): Part => ({
  ...part,
  effect: 0,
  hasEntry: false,
  ...(isClearingTold ? { tombstone: 'canceled', tombstoneOf: until } : {}),
})

/** Whether whatever it has to tell the record's server is going to be refused, always. */
export function isLost(
  { transitions, work }: Rules,
  record: Record | undefined,
  { phase, state, token }: Actor,
): boolean {
  if (record === undefined || state === undefined || token === record.token) return false
  const isChecked = (name: TransitionName | undefined): boolean =>
    name === undefined || transitions[name].token === 'checked'
  if (phase === 'resolving') return isChecked('resolve')
  const { confirmed, refused } = work[state] ?? {}
  return isChecked(confirmed) && isChecked(refused) && isChecked('renew')
}
