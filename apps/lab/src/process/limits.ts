import type { MongoClient } from 'mongodb'
import type { ScenarioShape } from '../scenarios/scenario.ts'
import type { Settings } from '../settings.ts'

/** The bounds of one run, in milliseconds. */
export interface Limits {
  /** For a connection, a call, an operation of the server. */
  readonly waitMs: number
  /** For a transaction: the same, or what its server lets it live where that is less. */
  readonly transactionMs: number
  /** For documents that other work holds. */
  readonly lockWaitMs: number
}

/** The product's own defaults. */
const waitMsDefault = 30_000
const lockWaitMsDefault = 2000
/** So far beyond the lab's deadline that a hang is seen as one, and not as a timeout. */
const marginMs = 60_000

/**
 * Without levels every bound lies beyond the deadline: what is shown is the hang that the bound would turn into an error. With
 * levels the defaults hold; what belongs to a call that itself waits for all others is raised to the deadline where that is later.
 */
export function limitsOf(settings: Settings, scenario: ScenarioShape): Omit<Limits, 'transactionMs'> {
  const { isolation, deadlineMs } = settings
  if (isolation === 'none') return { waitMs: deadlineMs + marginMs, lockWaitMs: deadlineMs + marginMs }
  return {
    waitMs: Math.max(waitMsDefault, deadlineMs),
    lockWaitMs: scenario.lockWaitMs?.(settings) ?? lockWaitMsDefault,
  }
}

/** The longest that a transaction may be given: a server at a given URL keeps its own lifetime of transactions. */
export async function transactionMsOf(client: MongoClient, waitMs: number): Promise<number> {
  const name = 'transactionLifetimeLimitSeconds'
  const answer = await client
    .db('admin')
    .command({ getParameter: 1, [name]: 1 })
    .catch(() => ({}))
  const seconds: unknown = Object.entries(answer).find(([field]) => field === name)?.[1]
  return Math.min(waitMs, (typeof seconds === 'number' ? seconds : lifetimeSecondsDefault) * 1000 - 1)
}

/** Of a server that does not tell. */
const lifetimeSecondsDefault = 60
