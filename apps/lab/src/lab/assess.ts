import { setTimeout as pause } from 'node:timers/promises'
import { diagnose, symptomsOf } from '../diagnosis/wait.ts'
import { LabError } from '../lab-error.ts'
import { countCodes, type Held, heldSum, type Outcome } from '../outcome.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import type { Settings } from '../settings.ts'
import type { Crew } from './crew.ts'
import type { Ground } from './ground.ts'
import { heldBy } from './held.ts'

/** How long after the deadline strangers may take to end; the result is due 10 s after it. */
const quietMs = 4000
/** How long whatever was held may take to be let go of, after the last that anybody waits for. */
const letGoMs = 3000
const lookAgainMs = 20

/** What has become of the roots, when they have ended or the deadline has come. @throws RUN_FAILED */
export async function assess(
  { roots, deadlineMs }: Settings,
  crew: Crew,
  { scenario, ground, elapsedMs }: { scenario: Scenario; ground: Ground; elapsedMs: number },
): Promise<Outcome> {
  const ends = [...crew.ends.values()]
  const unfinished = Array.from({ length: roots }, (_, root) => root).filter(root => !crew.ends.has(root))
  if (unfinished.length === 0) {
    await crew.check()
    await crew.quiet(deadlineMs - elapsedMs + quietMs)
  }
  const held = await heldAtLast(crew, ground, unfinished.length === 0 ? letGoMs : 0)
  const failures = ends.flatMap(({ code }) => code ?? [])
  const { peak, refusalMsMax, beforeGate, strangers } = crew
  return {
    completed: ends.length - failures.length,
    failed: failures.length,
    hung: unfinished.length,
    symptoms: {
      ...beforeGate?.symptoms,
      ...countCodes(failures),
      ...symptomsOf(diagnose(unfinished, crew.reports)),
    },
    elapsedMs,
    peak: { ...peak },
    ...(refusalMsMax === undefined ? {} : { refusalMsMax }),
    ...(beforeGate === undefined ? {} : { beforeGate }),
    ...countsOf(crew, scenario),
    ...(strangers === undefined ? {} : { strangers }),
    held,
  }
}

/** What is held when nothing is, or when that time is up. @throws RUN_FAILED when the servers do not tell */
async function heldAtLast(crew: Crew, ground: Ground, waitMs: number): Promise<Held> {
  const until = performance.now() + waitMs
  for (;;) {
    await crew.refresh()
    const held = { ...heldBy(crew.reports), ...(await heldOn(ground)) }
    if (heldSum(held) === 0 || performance.now() >= until) return held
    await pause(lookAgainMs)
  }
}

async function heldOn({ look }: Ground): ReturnType<Ground['look']['held']> {
  try {
    return await look.held()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LabError('RUN_FAILED', `The servers do not tell what is held: ${reason}`, { cause })
  }
}

/** Every name that the scenario declares, also where nothing of it was counted. */
function countsOf(crew: Crew, { counts }: Scenario): Pick<Outcome, 'counts'> {
  if (counts === undefined) return {}
  const zeros = Object.fromEntries(counts.map(name => [name, 0]))
  return { counts: { ...zeros, ...crew.counts } }
}
