import { type Servers, startServers } from '@strata/testkit'
import { heldSum } from '../outcome.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import type { Settings } from '../settings.ts'
import { type Result, type RunOptions, runLab } from './run.ts'

/** One scenario and the settings of its runs; each run has a seed of its own, one more than the last. */
export interface SeriesPart {
  readonly scenario: Scenario
  readonly settings: Settings
}

/** What the runs of one scenario have shown together. */
export interface SeriesRow {
  readonly scenario: string
  readonly times: number
  readonly asExpected: number
  /** Of the roots, in the slowest run. */
  readonly elapsedMsMax: number
  readonly elapsedMsMedian: number
  /** The most that was held at the end of a run in which no root hung. */
  readonly heldMax: number
  /** What was otherwise than promised, with the seed of its run. */
  readonly wrong: readonly string[]
}

export interface SeriesOptions extends Pick<RunOptions, 'view' | 'signal'> {
  readonly times: number
  /** Told after each run. */
  readonly onRun: (scenario: Scenario, result: Result) => void
}

/**
 * Plays scenarios one after the other, each so many times in a row, on the same servers. A run that fails counts as one that is
 * not as promised.
 */
export async function runSeries(parts: readonly SeriesPart[], options: SeriesOptions): Promise<SeriesRow[]> {
  await using servers = await startServers({ report: line => options.view.say(line) })
  const rows: SeriesRow[] = []
  for (const part of parts) {
    if (options.signal.aborted) break
    const row = await runTimes(part, options, servers)
    rows.push(row)
  }
  return rows
}

async function runTimes(
  { scenario, settings }: SeriesPart,
  { times, view, signal, onRun }: SeriesOptions,
  { mongoUrl, redisUrl }: Servers,
): Promise<SeriesRow> {
  const { STRATA_MONGO: _, STRATA_REDIS: __, ...rest } = process.env
  const env = { ...rest, MONGO_URL: mongoUrl, REDIS_URL: redisUrl }
  const results: Result[] = []
  const wrong: string[] = []
  for (let time = 0; time < times && !signal.aborted; time += 1) {
    const seed = (settings.seed + time) >>> 0
    const onResult = (result: Result) => {
      onRun(scenario, result)
      results.push(result)
      wrong.push(...result.wrong.map(line => `seed ${seed}: ${line}`))
    }
    try {
      await runLab({ ...settings, seed }, scenario, { view, signal, env, onResult })
    } catch (error) {
      wrong.push(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return rowOf(scenario.name, results, { times, wrong })
}

function rowOf(
  scenario: string,
  results: readonly Result[],
  { times, wrong }: Pick<SeriesRow, 'times' | 'wrong'>,
): SeriesRow {
  const elapsed = results.map(({ outcome }) => outcome.elapsedMs).sort((a, b) => a - b)
  const ended = results.filter(({ outcome }) => outcome.hung === 0)
  return {
    scenario,
    times,
    asExpected: results.filter(result => result.wrong.length === 0).length,
    elapsedMsMax: elapsed.at(-1) ?? 0,
    elapsedMsMedian: elapsed[Math.floor(elapsed.length / 2)] ?? 0,
    heldMax: Math.max(0, ...ended.map(({ outcome }) => heldSum(outcome.held))),
    wrong,
  }
}
