import type { PlannedTransfer } from './plan.ts'

/** An account notes each transfer that has moved its balance: what has moved it twice is there twice. */
export interface Account {
  readonly _id: string
  readonly balanceCents: number
  readonly journal: readonly string[]
}

/** What all accounts hold together at one moment. */
export interface Snapshot {
  readonly totalCents: number
  readonly lowestCents: number
}

export interface Standing {
  readonly inDoubt: number
  readonly recovered: number
  /** The transfers that moved something. */
  readonly done: ReadonlySet<string>
}

/** A way to move money, in one process of a run. */
export interface Ledger extends AsyncDisposable {
  /** Makes collections and accounts, once a run. */
  prepare(accounts: readonly Account[]): Promise<void>
  /** What this way needs to go on in the background. */
  start(): void
  /** Those that need not be begun any more: their end is sure, whoever sees to it. */
  begun(): Promise<ReadonlySet<string>>
  /** Resolves when it has ended, or its end is sure; done, or refused for want of money. */
  transfer(transfer: PlannedTransfer): Promise<void>
  /** The ids of all that have ended, either way. */
  ended(): Promise<readonly string[]>
  snapshot(accounts: readonly string[]): Promise<Snapshot>
  /** Sees to everything that is left. */
  recover(): Promise<void>
  standing(): Promise<Standing>
}

/** Moves a balance, and notes it in the journal. */
export const moving = (id: string, cents: number) => ({ $inc: { balanceCents: cents }, $push: { journal: id } })

/** What undoes it. */
export const unmoving = (id: string, cents: number) => ({ $inc: { balanceCents: -cents }, $pull: { journal: id } })
