import type { Held } from '../outcome.ts'
import type { ProcessReport } from '../process/report.ts'

/** What the processes hold by their own account. */
export function heldBy(reports: readonly ProcessReport[]): Pick<Held, 'permits' | 'statements' | 'calls' | 'jobs'> {
  const sum = (of: (report: ProcessReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0)
  return {
    permits: sum(({ pools }) => pools.reduce((total, { inUse, waiting }) => total + inUse + waiting, 0)),
    statements: sum(({ statements }) => statements.length),
    calls: sum(({ calls }) => calls.length),
    jobs: sum(({ jobs }) => jobs.length),
  }
}
