import type {
  StepName,
  StepRule,
  TransactionState,
  TransitionName,
  TransitionRule,
  WorkRule,
} from '@strata/consistency/two-phase-commit'
import type { Circumstance } from './model.ts'
import type { Rules } from './rules.ts'

type Change = (rules: Rules) => Rules

const step =
  (name: StepName, change: Partial<StepRule>): Change =>
  rules => ({ ...rules, steps: { ...rules.steps, [name]: { ...rules.steps[name], ...change } } })

const transition =
  (name: TransitionName, change: Partial<TransitionRule>): Change =>
  rules => ({
    ...rules,
    transitions: { ...rules.transitions, [name]: { ...rules.transitions[name], ...change } },
  })

const work =
  (state: TransactionState, change: Partial<WorkRule>): Change =>
  rules => {
    const rule = rules.work[state]
    return rule ? { ...rules, work: { ...rules.work, [state]: { ...rule, ...change } } } : rules
  }

export interface Mistake {
  readonly name: string
  readonly change: Change
  /** What comes of it. */
  readonly symptom: string
  /** How many it takes at most. */
  readonly faults: number
  /** Where it shows; anywhere unless this is said. */
  readonly among?: readonly Circumstance[]
}

const twice = 'a participant is applied twice, or reversed twice'
const otherEnd = 'a participant tells another end than the record'
const committedByHalves = 'committed by halves'
const canceledByHalves = 'canceled by halves'
const both = 'both committed and canceled'
const entryLeft = 'ended with an entry left'
const noEnd = 'does not end any more, though nothing goes wrong'

const mistake = (name: string, change: Change, symptom: string): Mistake => ({ name, change, symptom, faults: 1 })

/** Found sooner where it is not looked for elsewhere. */
const withSound = (one: Mistake): Mistake => ({ ...one, among: ['both can'] })

/** One that nobody sees as long as no two things go wrong. */
const rare = (name: string, change: Change, symptom: string): Mistake => withSound({ name, change, symptom, faults: 2 })

const forgetful: Change = rules => ({
  ...rules,
  tombstones: { ...rules.tombstones, outlivesWrites: false },
})

/** Mistakes that somebody may make, in the table by one field or beside it. */
export const mistakes: readonly Mistake[] = [
  mistake('an apply does not look for a tombstone', step('apply', { refusedByTombstone: false }), canceledByHalves),
  mistake('an apply does not look at the clock', step('apply', { checksDeadline: false }), canceledByHalves),
  mistake('an apply leaves no entry', step('apply', { entry: 'kept' }), canceledByHalves),
  mistake('a release leaves no tombstone', step('release', { tombstone: 'none' }), twice),
  mistake('a release leaves the tombstone of a cancellation', step('release', { tombstone: 'canceled' }), otherEnd),
  mistake('a release leaves its entry', step('release', { entry: 'kept' }), entryLeft),
  mistake('a release undoes what was applied', step('release', { effect: 'reverse' }), committedByHalves),
  mistake('a reverse does not ask for the entry', step('reverse', { needsEntry: false }), twice),
  mistake('a reverse undoes nothing', step('reverse', { effect: 'none' }), canceledByHalves),
  mistake('a reverse leaves no tombstone', step('reverse', { tombstone: 'none' }), canceledByHalves),
  mistake('what was not applied is not barred', step('bar', { tombstone: 'none' }), canceledByHalves),
  mistake('tombstones are removed at once', forgetful, canceledByHalves),
  mistake('it commits before all have confirmed', transition('commit', { needs: 'nothing' }), committedByHalves),
  mistake('it commits without its claim', transition('commit', { token: 'none' }), twice),
  mistake('it cancels what is in force', transition('cancel', { from: ['initial', 'pending', 'applied'] }), both),
  mistake('it ends before all are released', transition('finish', { needs: 'nothing' }), entryLeft),
  mistake('it ends as canceled what is in force', transition('finish', { to: 'canceled' }), both),
  mistake('it closes before all are reversed', transition('close', { needs: 'nothing' }), canceledByHalves),
  mistake('it does not wait for a missing document', transition('close', { waitsForMissing: false }), canceledByHalves),
  mistake('nobody takes over', transition('take-over', { from: [] }), noEnd),
  mistake('whoever takes over gets no new token', transition('take-over', { token: 'checked' }), noEnd),
  mistake('a renewal brings it back to pending', transition('renew', { to: 'pending' }), both),
  withSound(mistake('a renewal asks for no token', transition('renew', { token: 'none' }), canceledByHalves)),
  mistake('what is in force can be canceled by a renewal', transition('renew', { to: 'canceling' }), both),
  mistake('a renewal puts off nothing for others', rules => ({ ...rules, isRenewalTold: false }), canceledByHalves),
  mistake('a person does not wait', rules => ({ ...rules, isPersonPatient: false }), canceledByHalves),
  mistake('a person leaves no tombstone', rules => ({ ...rules, isClearingTold: false }), canceledByHalves),
  rare('a renewal forgets a doubt', rules => ({ ...rules, isDoubtKept: false }), twice),
  mistake('a cancellation only bars', work('canceling', { steps: ['bar'] }), noEnd),
  mistake('a cancellation does not bar', work('canceling', { steps: ['reverse'] }), noEnd),
]
