import type { Result } from '../lab/run.ts'
import { heldSum, type StrangersEnd } from '../outcome.ts'
import type { Versions } from './versions.ts'

/** The result as a program reads it; names and meaning of its fields are fixed. */
export function resultJson(
  { settings, outcome, wrong }: Result,
  versions: Versions,
): Readonly<Record<string, unknown>> {
  const { scenario, isolation, topology, roots, depth, pool, lanes, processes, strangers, own, seed } = settings
  const { completed, failed, hung, elapsedMs, symptoms, peak, refusalMsMax, beforeGate, counts, held } = outcome
  return {
    scenario,
    isolation,
    topology,
    roots,
    depth,
    pool,
    lanes,
    processes,
    strangers,
    ...own,
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
    ...(strangers === 0 || outcome.strangers === undefined ? {} : strangersJson(outcome.strangers)),
    held: heldSum(held),
    ...(heldSum(held) === 0 ? {} : { holders: held }),
    versions,
    verdict: wrong.length === 0 ? 'as-expected' : 'unexpected',
    ...(wrong.length === 0 ? {} : { wrong }),
  }
}

const strangersJson = ({ rounds, symptoms }: StrangersEnd) => ({ strangerRounds: rounds, strangerSymptoms: symptoms })
