import type { Protocol } from '@strata/consistency/two-phase-commit'

/** The table, and what the engine does beside it as far as it is safe by that. */
export interface Rules extends Protocol {
  /** Whoever takes over learns how far a renewal has put off the deadline of steps. */
  readonly isRenewalTold: boolean
  /** Whoever renews its claim still knows of which `apply` it has heard nothing. */
  readonly isDoubtKept: boolean
  /** Whoever resolves a transaction leaves a tombstone on each document that there is. */
  readonly isClearingTold: boolean
  /** A person clears no documents while an `apply` may come to one that is missing, where no tombstone can be left. */
  readonly isPersonPatient: boolean
}

export const rulesOf = (protocol: Protocol): Rules => ({
  ...protocol,
  isRenewalTold: true,
  isDoubtKept: true,
  isClearingTold: true,
  isPersonPatient: true,
})
