import type { WorkerHandle } from '@strata/queue'
import type { ProcessReport } from './report.ts'
import type { Stage } from './stage.ts'

/** What this process holds and waits for at this moment, in a form that another process can read. */
export function seen(
  stage: Stage,
  worker: WorkerHandle | undefined,
): Omit<ProcessReport, 'process' | 'peak' | 'lanes'> {
  const now = performance.now()
  const { db, queues } = stage
  return {
    pools: db.pools(),
    statements: db.activities().map(({ root, level, phase, what, since }) => ({
      root,
      level,
      phase,
      what,
      ageMs: Math.round(now - since),
    })),
    calls: queues.waiting().map(({ root, id, job, level, since }) => work({ root, id, job, level }, now - since)),
    jobs:
      worker?.activities().map(({ root, id, job, level, since }) => work({ root, id, job, level }, now - since)) ?? [],
    units: Object.fromEntries(stage.units),
    counts: Object.fromEntries(stage.counts),
  }
}

const work = (
  { root, id, job, level }: { root: string; id: string; job: string; level: number },
  ageMs: number,
): ProcessReport['jobs'][number] => ({ root, job: id, name: job, level, ageMs: Math.round(ageMs) })
