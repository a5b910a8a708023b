import type { TwoPhaseTransaction } from '@strata/consistency/two-phase-commit'
import type { Told } from './bank.ts'
import type { TransferPlan } from './plan.ts'

/** A document that took part, as it is in the end. */
export interface Account {
  readonly _id: string
  readonly balance: number
  readonly pendingTransactions?: readonly { readonly id: string }[]
}

/** Everything known of one round. */
export interface TwoPhaseHistory {
  readonly plans: readonly TransferPlan[]
  readonly transactions: readonly Pick<TwoPhaseTransaction, 'id' | 'state'>[]
  readonly accounts: readonly Account[]
  /** What the process that was killed had been told, and those that went on after it. */
  readonly told: readonly Told[]
  /** The sums of the visible parts, at moments of the round. */
  readonly sums: readonly number[]
  /** How many a second recovery has taken up. */
  readonly takenAgain: number
}
