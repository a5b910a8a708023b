/** How many of each code. */
export type Symptoms = Readonly<Record<string, number>>

/** What became of the roots of one run. completed + failed + hung = roots. */
export interface Outcome {
  readonly completed: number
  readonly failed: number
  /** Still waiting at the deadline. */
  readonly hung: number
  /** Failed roots by the code of their error, hung ones by the code of what they waited in. */
  readonly symptoms: Symptoms
  readonly elapsedMs: number
  readonly peak: Peak
  /** How long the slowest refused call took to be refused; absent when none was. */
  readonly refusalMsMax?: number
  /** How the roots stood when the gate was about to open; only where a scenario has one. */
  readonly beforeGate?: BeforeGate
  /** What the scenario counts beyond its roots, over all processes; every name that it declares is there. */
  readonly counts?: Symptoms
  /** How the strangers fared that went on beside the roots; absent where there were none, or where roots hang. */
  readonly strangers?: StrangersEnd
  /** What is still held when all is over; where roots hang, what is held at the deadline. */
  readonly held: Held
}

/** What became of the strangers of one run. */
export interface StrangersEnd {
  /** Rounds that ended well. */
  readonly rounds: number
  /** Rounds that failed, by the code of their error. */
  readonly symptoms: Symptoms
  /** Strangers whose last round has not ended in its time. */
  readonly unfinished: number
}

/** What is held at one moment: by the processes' own account, and by that of the servers. */
export interface Held {
  /** Connections of pools in use or waited for. */
  readonly permits: number
  /** Statements and transactions under way. */
  readonly statements: number
  /** Calls whose result is awaited. */
  readonly calls: number
  /** Running jobs. */
  readonly jobs: number
  /** Transactions that are open on MongoDB. */
  readonly transactions: number
  /** Operations under way on MongoDB. */
  readonly operations: number
  /** Jobs that BullMQ keeps for a worker that is alive. */
  readonly slots: number
}

export const heldSum = (held: Held): number => Object.values(held).reduce((sum: number, each: number) => sum + each, 0)

/** The most in use at once over all processes. */
export interface Peak {
  /** Connections of the pools, without the driver's monitoring. */
  readonly connections: number
  /** Running jobs. */
  readonly slots: number
}

export interface BeforeGate {
  readonly completed: number
  readonly symptoms: Symptoms
}

/** How one root ended. */
export interface RootEnd {
  readonly root: number
  /** The code of the error that it ended with; absent when it completed. */
  readonly code?: string
  readonly message?: string
}

/** The sums of all, name by name. */
export function addCounts(all: Iterable<Symptoms>): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count
  }
  return sums
}

export function countCodes(codes: Iterable<string>): Symptoms {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1
  return counts
}
