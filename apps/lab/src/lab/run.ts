import { setTimeout as pause } from 'node:timers/promises'
import { seeded } from '@strata/testkit'
import { LabError } from '../lab-error.ts'
import type { Outcome } from '../outcome.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import type { Settings } from '../settings.ts'
import { aftermath } from './aftermath.ts'
import { assess } from './assess.ts'
import { Crew } from './crew.ts'
import { type Ground, layGround } from './ground.ts'
import { shuffled } from './shuffle.ts'

import type { View } from './view.ts'

/** What a run has shown. */
export interface Result {
  readonly settings: Settings
  readonly outcome: Outcome
  /** Every way in which the outcome is not the promised one. */
  readonly wrong: readonly string[]
  readonly servers: Ground['versions']
}

export interface RunOptions {
  readonly view: View
  readonly signal: AbortSignal
  readonly onResult: (result: Result) => void
  /** Where the URLs of servers are read; this process's environment by default. */
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Runs a scenario to the end of its roots or to its deadline, hands over what it has shown, and takes everything down again
 * whatever hangs in it.
 * @throws RUN_FAILED when a process cannot be opened or is lost, or `signal` ends the run.
 */
export async function runLab(
  settings: Settings,
  scenario: Scenario,
  { view, signal, onResult, env }: RunOptions,
): Promise<Result> {
  await using stack = new AsyncDisposableStack()
  const crew = stack.use(await Crew.gather(settings))
  const ground = stack.use(await layGround(settings, scenario, { report: line => view.say(line), env }))
  // Once more, so that it is gone before the servers are.
  stack.use(crew)
  await crew.open(settings, ground)
  const outcome = await play(settings, crew, { scenario, view, signal, ground })
  const wrong = [...scenario.judge(outcome, settings), ...aftermath(outcome, settings, scenario)]
  const result = { settings, outcome, wrong, servers: ground.versions }
  onResult(result)
  // With roots that hang nothing would stop by itself: those processes are killed.
  if (outcome.hung === 0) await crew.stop()
  return result
}

async function play(
  settings: Settings,
  crew: Crew,
  { scenario, view, signal, ground }: { scenario: Scenario; view: View; signal: AbortSignal; ground: Ground },
): Promise<Outcome> {
  await crew.ready()
  const begun = performance.now()
  const elapsedMs = () => Math.round(performance.now() - begun)
  const stopFrames = view.watch(() => ({ settings, elapsedMs: elapsedMs(), crew }))
  crew.go(shuffled(settings.roots, seeded(settings.seed)))
  const over = new AbortController()
  try {
    const deadline = pause(settings.deadlineMs, undefined, { signal: over.signal })
    await Promise.race([crew.finished, deadline, aborted(signal)])
  } finally {
    over.abort()
    stopFrames()
  }
  return await assess(settings, crew, { scenario, ground, elapsedMs: elapsedMs() })
}

function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = () =>
    reject(new LabError('RUN_FAILED', 'The run was stopped by a signal, or lost the process that started it'))
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return promise
}
