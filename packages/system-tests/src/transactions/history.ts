import type { Outcome } from '@strata/db-context'
import type { TransactionPlan } from './plan.ts'

/** How a transaction ended for whoever began it. */
export interface Ended {
  /** `applied` is a `begin` that resolved; an error without an outcome of its own promises `not-applied`. */
  readonly outcome: Outcome
  /** The code of the error, or the name and number of one that is not ours; undefined where `begin` resolved. */
  readonly code: string | undefined
  readonly ranMs: number
  readonly message?: string
}

export type HookName = 'afterCommit' | 'afterRollback'

/** What was seen of one transaction while it went on. */
export interface Story {
  readonly plan: TransactionPlan
  /** How often its body was begun. */
  bodies: number
  ended: Ended | undefined
  readonly hooks: HookName[]
  /** The stamps of the jobs that ran for each of its calls, by the call's index. */
  readonly jobs: string[][]
  /** The stamps that the last body to come that far was given. */
  results: string[]
}

/** What the data hold of one transaction once everything is quiet. */
export interface Found {
  /** The counter that it raises by one. */
  readonly counter: number
  /** The documents that it has inserted; it inserts one. */
  readonly documents: number
}

/** The codes of errors that a fault explains. */
export interface Explanation {
  readonly any: readonly string[]
  /** Beside those, for transactions whose deadline is shorter than what the fault lasts. */
  readonly hurried: readonly string[]
}

/** Everything known of one round. */
export interface History {
  readonly stories: readonly Story[]
  readonly found: ReadonlyMap<string, Found>
  /** The counter that the shared ones raise by one each. */
  readonly sharedCounter: number
  /** What was still held once nothing was under way any more, in words. */
  readonly held: readonly string[]
  readonly explains: Explanation
}

export const newStory = (plan: TransactionPlan): Story => ({
  plan,
  bodies: 0,
  ended: undefined,
  hooks: [],
  jobs: Array.from({ length: plan.calls }, () => []),
  results: [],
})

export const refusedName = 'LedgerRefused'

/** What a body throws on its own account. */
export class LedgerRefused extends Error {
  override readonly name = refusedName
}

/** How an error of `begin` is read: one of ours by its outcome, any other one by what `begin` promises of it. */
export function readError(error: unknown): Omit<Ended, 'ranMs'> {
  const { name, code, outcome, message } = error as Record<'name' | 'code' | 'outcome' | 'message', unknown>
  if (name === 'StrataError') return { outcome: outcome as Outcome, code: String(code), message: String(message) }
  return { outcome: 'not-applied', code: [name, code].filter(Boolean).join(' '), message: String(message) }
}
