import type { StepName, TransactionState } from '@strata/consistency/two-phase-commit'

/** A participant's document, as far as one transaction goes. */
export interface Part {
  readonly exists: boolean
  readonly guardHolds: boolean
  readonly hasEntry: boolean
  /** How often the participant's update has been applied, less how often it has been reversed. */
  readonly effect: number
  readonly tombstone: 'done' | 'canceled' | 'none'
  /** Each `apply` with a deadline up to this one may still come: while one may, the tombstone stays. */
  readonly tombstoneOf: number
}

/** A write of a participant's document that has been sent, and has not come. */
export interface Write {
  /** `clear` is that of a person, who is told of the update that it leaves, and undoes it. */
  readonly step: StepName | 'clear'
  readonly part: number
  /** The deadline of an `apply`; of another step the last deadline that its tombstone outlives. */
  readonly until: number
  /** Who waits for its answer; nobody after a crash or a time-out. */
  readonly by: number | undefined
}

/** How far an actor is with one participant. Before it sends again, it looks at the document. */
export type Progress = 'sent' | 'unanswered' | 'confirmed' | 'missing' | 'refused'

export type Answer = 'none' | 'known' | 'unsure'

/** Somebody who runs, recovers or cancels the transaction. */
export interface Actor {
  readonly phase: 'idle' | 'working' | 'resolving' | 'crashed'
  readonly token: number
  /** The last deadline under which an `apply` may be sent, as it knows; while it works on `pending`, that of its own. */
  readonly until: number
  /** The state that it works on. */
  readonly state: TransactionState | undefined
  readonly parts: readonly Progress[]
  /**
   * By participant, whether the `apply` of the first claim was answered, as written or as not matched, and no other was ever sent: none
   * can come again. Of no use to later claims.
   */
  readonly applied: readonly Answer[]
}

export interface Record {
  readonly state: TransactionState
  readonly token: number
  readonly leaseRuns: boolean
  /** The last deadline under which an `apply` may be sent. */
  readonly until: number
  /** A person may resolve it. */
  readonly isStuck: boolean
}

export interface State {
  readonly record: Record | undefined
  readonly parts: readonly Part[]
  readonly writes: readonly Write[]
  readonly actors: readonly Actor[]
  /**
   * By number and participant, whether a deadline of an `apply` has passed on that participant's clock; 0 is one that has, everywhere.
   * The other steps have none here: they may come at any time, which is worse than in life.
   */
  readonly passed: readonly (readonly boolean[])[]
  /** It has been in force; whoever has read that has acted on it. */
  readonly wasApplied: boolean
}

export const partsCount = 2
export const actorsCount = 3

export const idle: Actor = { phase: 'idle', token: 0, until: 0, state: undefined, parts: [], applied: [] }
export const crashed: Actor = { ...idle, phase: 'crashed' }

/** Whether any `apply` with a deadline up to this one may still match at a participant. */
export const mayCome = (passed: State['passed'], part: number, until: number): boolean =>
  passed.slice(1, until + 1).some(each => !each[part])
