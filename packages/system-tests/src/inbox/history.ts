/** What one handling of a message has left, committed: the message, and a stamp that no other run has. */
export interface Stamped {
  readonly message: string
  readonly stamp: string
}

/** What a delivery of a message ended with: the stamp that it was told, or the code of an error. */
export type Told = Stamped | { readonly message: string; readonly code: string }

/** What is remembered of a message. */
export interface Remembered {
  readonly message: string
  /** Of the stored result; absent where there is none. */
  readonly stamp?: string
}

/** Everything known of one round. */
export interface InboxHistory {
  readonly messages: readonly string[]
  readonly effects: readonly Stamped[]
  readonly told: readonly Told[]
  /** Deliveries of which somebody waits for the end; those that a killed process waited for are not among them. */
  readonly deliveries: number
  readonly rows: readonly Remembered[]
  /** How often the handler ran in the processes that took over. */
  readonly runsAfter: number
  /** Transactions that are open once everything is quiet. */
  readonly open: number
  /** Slots of the workers that could not be filled all at once afterwards. */
  readonly held: number
}
