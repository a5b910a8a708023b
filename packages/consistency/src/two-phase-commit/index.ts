export { defineTwoPhase, type TwoPhaseDefinition, type TwoPhaseInput } from './definition.ts'
export { reverseId } from './entry.ts'
export { atLeast } from './guards.ts'
export type { ListOptions } from './listing.ts'
export type { InDoubt } from './metrics.ts'
export { type DocumentId, defineParticipant, type Part, type Participant, type UpdateOperators } from './participant.ts'
export type { ReadDocument } from './reading.ts'
export type { Cause } from './record.ts'
export type { Faulty, RecoverOptions, Recovery } from './recovery.ts'
export {
  type EndState,
  outcomes,
  type Protocol,
  protocol,
  resolutions,
  type StepName,
  type StepRule,
  type TombstoneRule,
  type TransactionState,
  type TransitionName,
  type TransitionRule,
  transactionStates,
  type WorkRule,
} from './table.ts'
export type { TwoPhaseTransaction } from './transaction.ts'
export { type Transfer, type TransferDefinition, type TransferOptions, transferOf } from './transfer.ts'
export {
  createTwoPhaseCommit,
  type RunOptions,
  type TwoPhaseCommit,
  type TwoPhaseCommitOptions,
} from './two-phase-commit.ts'
