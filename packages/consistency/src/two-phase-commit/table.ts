/** The states of a transaction, as its record has them. */
export const transactionStates = ['initial', 'pending', 'applied', 'done', 'canceling', 'canceled'] as const

export type TransactionState = (typeof transactionStates)[number]

/** The states that no transition leaves. */
export type EndState = 'done' | 'canceled'

export type TransitionName =
  | 'submit'
  | 'begin'
  | 'start'
  | 'take-over'
  | 'renew'
  | 'commit'
  | 'abandon'
  | 'cancel'
  | 'finish'
  | 'close'
  | 'resolve'

/** One write of a transaction's record. It compares what is said here in its filter: whoever it does not match makes no transition. */
export interface TransitionRule {
  readonly about: string
  /** Empty: there is no record yet. */
  readonly from: readonly TransactionState[]
  readonly to: TransactionState | 'same' | 'given'
  /**
   * `checked`: only whoever holds the claim, whose token is the record's. `raised`: anybody, who gets a claim by it, with a lease and
   * a token that is higher than any before it; whoever held one has it no more. `none`: anybody, and nobody has a claim by it.
   */
  readonly token: 'checked' | 'raised' | 'none'
  /** Only while nobody's lease runs, by the server's clock. */
  readonly needsFreeLease: boolean
  /** What whoever makes it has to know of the steps in this state. */
  readonly needs: 'nothing' | 'every-step-confirmed' | 'a-step-refused' | 'a-person'
  /**
   * Where a participant is missing, its tombstone is too: only once no write of a step can come late any more, by the server's clock.
   */
  readonly waitsForMissing: boolean
}

export type StepName = 'apply' | 'release' | 'reverse' | 'bar'

/** One write of a participant's document. Everything but `effect`, `entry` and `tombstone` is in its filter. */
export interface StepRule {
  readonly about: string
  /** Whether the document has to have an entry of the transaction, or must not. */
  readonly needsEntry: boolean
  /** Not where the document has a tombstone of the transaction. */
  readonly refusedByTombstone: boolean
  readonly checksGuard: boolean
  /** Not once the claim's deadline has passed, by the clock of the participant's server: nothing is written later, however late it is sent. */
  readonly checksDeadline: boolean
  /** Which of the participant's own updates is made. */
  readonly effect: 'apply' | 'reverse' | 'none'
  readonly entry: 'added' | 'removed' | 'kept'
  readonly tombstone: EndState | 'none'
}

/** What the holder of a claim does in a state. */
export interface WorkRule {
  /** For each participant the first of these that matches its document. */
  readonly steps: readonly StepName[]
  /** Once each participant's is confirmed. */
  readonly confirmed: TransitionName
  /** Once one is refused for good; where it says nothing a person has to look at it. */
  readonly refused?: TransitionName
}

/** How long a tombstone tells of a transaction. */
export interface TombstoneRule {
  /** It outlives each write that was sent, or may be sent, under any claim: the last one's deadline, and the skew of clocks. */
  readonly outlivesWrites: boolean
  /**
   * Kept no longer than to the next write where nothing can be under way: only one claim has ever sent steps, and it was answered that
   * its one `apply` was written, or that it was refused. Otherwise refusals would crowd a document.
   */
  readonly isBriefWhenNothingIsUnderWay: boolean
}

/** The protocol as data: the engine runs from it, the reference page is printed from it, and the model check explores it. */
export interface Protocol {
  readonly transitions: Readonly<Record<TransitionName, TransitionRule>>
  readonly steps: Readonly<Record<StepName, StepRule>>
  readonly work: Readonly<Partial<Record<TransactionState, WorkRule>>>
  readonly tombstones: TombstoneRule
}

const open = { needsFreeLease: false, waitsForMissing: false } as const

export const protocol: Protocol = {
  transitions: {
    submit: {
      ...open,
      about: 'The record is made, for whoever runs it',
      from: [],
      to: 'initial',
      token: 'none',
      needs: 'nothing',
    },
    begin: {
      ...open,
      about: 'The record is made, claimed and run: no step was sent before it, so `initial` would tell nobody anything',
      from: [],
      to: 'pending',
      token: 'raised',
      needs: 'nothing',
    },
    start: {
      ...open,
      about: 'A submitted one is claimed and run',
      from: ['initial'],
      to: 'pending',
      token: 'raised',
      needs: 'nothing',
    },
    'take-over': {
      ...open,
      about: 'One whose claim has run out is claimed anew',
      from: ['pending', 'applied', 'canceling'],
      to: 'same',
      token: 'raised',
      needsFreeLease: true,
      needs: 'nothing',
    },
    renew: {
      ...open,
      about: 'The lease and the deadline of steps are extended',
      from: ['pending', 'applied', 'canceling'],
      to: 'same',
      token: 'checked',
      needs: 'nothing',
    },
    commit: {
      ...open,
      about: 'The one moment at which it comes into force, for all participants',
      from: ['pending'],
      to: 'applied',
      token: 'checked',
      needs: 'every-step-confirmed',
    },
    abandon: {
      ...open,
      about: 'A participant has refused: what was applied is reversed',
      from: ['pending'],
      to: 'canceling',
      token: 'checked',
      needs: 'a-step-refused',
    },
    cancel: {
      ...open,
      about: 'Somebody cancels it, whoever holds its claim',
      from: ['initial', 'pending'],
      to: 'canceling',
      token: 'raised',
      needs: 'nothing',
    },
    finish: {
      about: 'No participant has an entry of it any more',
      from: ['applied'],
      to: 'done',
      token: 'checked',
      needsFreeLease: false,
      needs: 'every-step-confirmed',
      waitsForMissing: true,
    },
    close: {
      about: 'No participant has an entry of it, and none will',
      from: ['canceling'],
      to: 'canceled',
      token: 'checked',
      needsFreeLease: false,
      needs: 'every-step-confirmed',
      waitsForMissing: true,
    },
    resolve: {
      ...open,
      about: 'A person ends one that is stuck, having corrected the documents',
      from: ['initial', 'pending', 'applied', 'canceling'],
      to: 'given',
      token: 'checked',
      needs: 'a-person',
    },
  },
  steps: {
    apply: {
      about: "The participant's own update, if its guard holds",
      needsEntry: false,
      refusedByTombstone: true,
      checksGuard: true,
      checksDeadline: true,
      effect: 'apply',
      entry: 'added',
      tombstone: 'none',
    },
    release: {
      about: 'What was applied stays',
      needsEntry: true,
      refusedByTombstone: false,
      checksGuard: false,
      checksDeadline: true,
      effect: 'none',
      entry: 'removed',
      tombstone: 'done',
    },
    reverse: {
      about: 'What was applied is undone',
      needsEntry: true,
      refusedByTombstone: false,
      checksGuard: false,
      checksDeadline: true,
      effect: 'reverse',
      entry: 'removed',
      tombstone: 'canceled',
    },
    bar: {
      about: 'What was not applied never will be: an `apply` that comes late finds the tombstone',
      needsEntry: false,
      refusedByTombstone: true,
      checksGuard: false,
      checksDeadline: true,
      effect: 'none',
      entry: 'kept',
      tombstone: 'canceled',
    },
  },
  work: {
    pending: { steps: ['apply'], confirmed: 'commit', refused: 'abandon' },
    applied: { steps: ['release'], confirmed: 'finish' },
    canceling: { steps: ['reverse', 'bar'], confirmed: 'close' },
  },
  tombstones: { outlivesWrites: true, isBriefWhenNothingIsUnderWay: true },
}

/** Which end each state may be resolved to by a person: what is in force stays so. */
export const resolutions: Readonly<Partial<Record<TransactionState, readonly EndState[]>>> = {
  initial: ['canceled'],
  pending: ['canceled'],
  applied: ['done'],
  canceling: ['canceled'],
}

/** What has become of a transaction in each state, for whoever asked for it. */
export const outcomes = {
  initial: 'unknown',
  pending: 'unknown',
  applied: 'applied',
  done: 'applied',
  canceling: 'not-applied',
  canceled: 'not-applied',
} as const satisfies Record<TransactionState, 'applied' | 'not-applied' | 'unknown'>

export const isEnd = (state: TransactionState): state is EndState => state === 'done' || state === 'canceled'
