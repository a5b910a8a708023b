import { countCodes, type Symptoms } from '../outcome.ts'
import type { ProcessReport, Statement } from '../process/report.ts'

/**
 * What an unfinished root waits in: a connection, a worker slot, or a document that other work holds. `UNSEEN_WAIT` is none of
 * these, which no scenario promises.
 */
export type WaitCode = 'POOL_WAIT' | 'LANE_WAIT' | 'LOCK_WAIT' | 'UNSEEN_WAIT'

/**
 * What each of the unfinished roots waits in, by the reports of all processes: a root's work is followed by the id that its
 * chain begins with, which travels with every call. A root of several actors counts once, under the first of pool, lane
 * and lock: whoever waits for a connection or a slot keeps the others from letting go of the document.
 */
export function diagnose(
  unfinished: readonly number[],
  reports: readonly ProcessReport[],
): ReadonlyMap<number, WaitCode> {
  const waits = seenWaits(reports)
  return new Map(unfinished.map(root => [root, codeOf(waits.get(root))]))
}

export const symptomsOf = (waits: ReadonlyMap<number, WaitCode>): Symptoms => countCodes(waits.values())

const precedence = ['POOL_WAIT', 'LANE_WAIT', 'LOCK_WAIT'] as const

function codeOf(seen: ReadonlySet<WaitCode> | undefined): WaitCode {
  return precedence.find(code => seen?.has(code)) ?? 'UNSEEN_WAIT'
}

function seenWaits(reports: readonly ProcessReport[]): Map<number, Set<WaitCode>> {
  const rootOf = new Map(reports.flatMap(report => Object.entries(report.units)))
  const started = new Set(reports.flatMap(report => report.jobs.map(({ job }) => job)))
  const waits = new Map<number, Set<WaitCode>>()
  const add = (chain: string, code: WaitCode): void => {
    const root = rootOf.get(chain)
    if (root === undefined) return
    const seen = waits.get(root) ?? new Set()
    waits.set(root, seen.add(code))
  }
  for (const { statements, calls } of reports) {
    for (const statement of statements) {
      const code = statementWait(statement)
      if (code !== undefined) add(statement.root, code)
    }
    for (const call of calls) if (!started.has(call.job)) add(call.root, 'LANE_WAIT')
  }
  return waits
}

function statementWait({ phase }: Statement): WaitCode | undefined {
  if (phase === 'queued' || phase === 'connecting') return 'POOL_WAIT'
  // A transaction that only holds its connection waits for nothing: its body does.
  return phase === 'running' ? 'LOCK_WAIT' : undefined
}
