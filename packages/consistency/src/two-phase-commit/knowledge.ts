import type { Cause, TransactionRecord } from './record.ts'
import type { Engine } from './settings.ts'
import type { StepEnd } from './steps.ts'
import type { TransitionRule } from './table.ts'

/** What the holder of a claim knows of one participant's step, and concludes from. */
export type Known =
  | { readonly kind: 'confirmed'; readonly cause?: undefined }
  /** Nothing has to be done, and nothing can be. */
  | { readonly kind: 'missing'; readonly cause?: undefined }
  | { readonly kind: 'refused'; readonly cause: Cause; readonly isMissing?: boolean }
  /** Something may have to be undone, and there is nowhere to. */
  | { readonly kind: 'vanished'; readonly cause: Cause }
  | { readonly kind: 'unreachable'; readonly cause: Cause }

/** What the ends of steps tell, of those that tell something. */
export function knownOf({ protocol }: Engine, record: TransactionRecord, ends: readonly StepEnd[]): Known[] {
  const undoes = protocol.work[record.state]?.steps.some(name => protocol.steps[name].effect === 'reverse') ?? false
  return ends.flatMap((end, index): Known[] => {
    if (end.kind === 'late' || end.kind === 'unclear' || end.kind === 'overtaken') return []
    if (end.kind !== 'missing') return [end]
    return [undoes && mayBeApplied(record, index) ? vanished(end.cause) : { kind: 'missing' }]
  })
}

/** Not before the first claim, and not where the only one there has been has found no document either. */
const mayBeApplied = ({ missing = [], applyUntil }: TransactionRecord, index: number): boolean =>
  applyUntil !== undefined && !missing.includes(index)

const vanished = (cause: Cause): Known => ({
  kind: 'vanished',
  cause: {
    ...cause,
    code: 'TWO_PHASE_PARTICIPANT_VANISHED',
    message: `${cause.message} any more, or never did: it is not known whether it was applied. Resolve it, then correct what has to be`,
  },
})

/** Whether a transition may be made by who knows this. */
export function isMet(needs: TransitionRule['needs'], known: readonly Known[]): boolean {
  if (needs === 'every-step-confirmed') return known.every(({ kind }) => kind === 'confirmed' || kind === 'missing')
  if (needs === 'a-step-refused') return known.some(({ kind }) => kind === 'refused')
  return needs === 'nothing'
}
