import type { Result } from '../lab/run.ts'
import type { Versions } from './versions.ts'

/** The result as a program reads it; names and meaning of its fields are fixed. */
export function resultJson(
  { settings, outcome, wrong }: Result,
  versions: Versions,
): Readonly<Record<string, unknown>> {
  const { scenario, isolation, topology, roots, depth, pool, lanes, processes, seed } = settings
  const { completed, failed, hung, elapsedMs, symptoms, peak, refusalMsMax, beforeGate, counts } = outcome
  return {
    scenario,
    isolation,
    topology,
    roots,
    depth,
    pool,
    lanes,
    processes,
    seed,
    completed,
    failed,
    hung,
    elapsedMs,
    symptoms,
    peak,
    ...(refusalMsMax === undefined ? {} : { refusalMsMax }),
    ...(beforeGate === undefined ? {} : { beforeGate }),
    ...counts,
    versions,
    verdict: wrong.length === 0 ? 'as-expected' : 'unexpected',
    ...(wrong.length === 0 ? {} : { wrong }),
  }
}
