import type { Protocol, TransitionName } from '@strata/consistency/two-phase-commit'
import type { Record, State, Write } from './state.ts'

/** What the record's server does with a transition: the record as it is then, or undefined where its filter does not match. */
export function recordAfter(
  { transitions }: Protocol,
  name: TransitionName,
  { record, token }: { readonly record: Record | undefined; readonly token: number },
): Record | undefined {
  const rule = transitions[name]
  if (record === undefined ? rule.from.length > 0 : !rule.from.includes(record.state)) return undefined
  if (rule.token === 'checked' && record?.token !== token) return undefined
  if (rule.needsFreeLease && record?.leaseRuns) return undefined
  const state = rule.to === 'same' || rule.to === 'given' ? record?.state : rule.to
  if (state === undefined) return undefined
  const { token: last = 0, leaseRuns = false } = record ?? {}
  return rule.token === 'raised' ? { state, token: last + 1, leaseRuns: true } : { state, token: last, leaseRuns }
}

/** What a participant's server does with a write: the parts as they are then, or undefined where its filter does not match. */
export function partsAfter({ steps, tombstones }: Protocol, state: State, write: Write): State['parts'] | undefined {
  const { step, part: number, token, isBrief } = write
  const rule = steps[step]
  const part = state.parts[number]
  if (!part?.exists || part.hasEntry !== rule.needsEntry) return undefined
  if (rule.refusedByTombstone && part.tombstone !== 'none') return undefined
  if (rule.checksGuard && !part.guardHolds) return undefined
  if (rule.checksDeadline && step === 'apply' && state.passed[token]?.[number]) return undefined
  const changed = {
    ...part,
    effect: part.effect + { apply: 1, reverse: -1, none: 0 }[rule.effect],
    hasEntry: { added: true, removed: false, kept: part.hasEntry }[rule.entry],
    ...(rule.tombstone === 'none'
      ? {}
      : { tombstone: rule.tombstone, tombstoneOf: tombstones.outlivesWrites && !isBrief ? token : 0 }),
  }
  return state.parts.map((each, at) => (at === number ? changed : each))
}

/** Whether any `apply` of the claims up to this one may still match at a participant. */
export const mayCome = ({ passed }: State, part: number, token: number): boolean =>
  passed.slice(1, token + 1).some(each => !each[part])
