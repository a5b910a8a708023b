import Table from 'cli-table3'
import type { SeriesRow } from '../lab/series.ts'
import { plain } from './plain.ts'

/** What a series has shown, as a person reads it. */
export function seriesTable(rows: readonly SeriesRow[]): string {
  const head = ['scenario', 'as promised', 'median', 'slowest', 'held at the end']
  const table = new Table({ head, style: plain })
  for (const { scenario, times, asExpected, elapsedMsMedian, elapsedMsMax, heldMax } of rows) {
    table.push([scenario, `${asExpected} of ${times}`, `${elapsedMsMedian} ms`, `${elapsedMsMax} ms`, heldMax])
  }
  const wrong = rows.flatMap(({ scenario, wrong }) => wrong.map(line => `NOT as promised: ${scenario}: ${line}`))
  return `${[table.toString(), ...wrong].join('\n')}\n`
}

/** The same as a program reads it. */
export function seriesJson(rows: readonly SeriesRow[]): Readonly<Record<string, unknown>> {
  return { rows, verdict: rows.every(isAsPromised) ? 'as-expected' : 'unexpected' }
}

/** Whether every run was made, and went as promised. */
export const isAsPromised = ({ times, asExpected, wrong }: SeriesRow): boolean =>
  asExpected === times && wrong.length === 0
