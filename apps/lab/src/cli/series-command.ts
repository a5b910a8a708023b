import { runSeries, type SeriesPart } from '../lab/series.ts'
import { terminalView } from '../live/terminal-view.ts'
import { resultJson } from '../report/result-json.ts'
import { isAsPromised, seriesJson, seriesTable } from '../report/series-table.ts'
import { versionsOf } from '../report/versions.ts'
import type { Surroundings } from './main-program.ts'

interface SeriesOf {
  readonly parts: readonly SeriesPart[]
  readonly times: number
  readonly isJson: boolean
}

/** Plays scenarios several times in a row: a line a run, and at the end what they have shown together. */
export async function runSeriesCommand({ parts, times, isJson }: SeriesOf, around: Surroundings): Promise<void> {
  const { say } = terminalView(process.stderr)
  const rows = await runSeries(parts, {
    times,
    // Which servers and how each run stands would be many lines.
    view: { say: () => {}, watch: () => () => {} },
    signal: around.signal,
    onRun: (scenario, result) => {
      if (isJson) around.out(`${JSON.stringify(resultJson(result, versionsOf(result.servers)))}\n`)
      const verdict = result.wrong.length === 0 ? 'as promised' : `NOT as promised: ${result.wrong.join('; ')}`
      say(`${scenario.name}, seed ${result.settings.seed}: ${verdict}, ${result.outcome.elapsedMs} ms`)
    },
  })
  around.out(isJson ? `${JSON.stringify(seriesJson(rows))}\n` : seriesTable(rows))
  around.exitCode(rows.length === parts.length && rows.every(isAsPromised) ? 0 : 1)
}
