import Table from 'cli-table3'
import type { Result } from '../lab/run.ts'
import { heldSum } from '../outcome.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { plain } from './plain.ts'

/** The result as a person reads it. */
export function resultTable({ settings, outcome, wrong }: Result, scenario: Scenario): string {
  const table = new Table({ style: plain })
  const {
    completed,
    failed,
    hung,
    symptoms,
    elapsedMs,
    peak,
    refusalMsMax,
    beforeGate,
    counts = {},
    strangers,
    held,
  } = outcome
  const codes = Object.entries(symptoms).map(([code, count]) => `${code} ${count}`)
  table.push(
    ['completed', `${completed} of ${settings.roots}`],
    ['failed', failed],
    ['hung', hung],
    ['symptoms', codes.join('\n') || 'none'],
    ['elapsed', `${elapsedMs} ms`],
    ['most in use at once', `${peak.connections} connections, ${peak.slots} worker slots`],
  )
  if (refusalMsMax !== undefined) table.push(['slowest refusal', `${refusalMsMax} ms`])
  if (beforeGate !== undefined) table.push(['finished before the gate', beforeGate.completed])
  for (const [name, count] of Object.entries(counts)) table.push([name, count])
  if (settings.strangers > 0 && strangers !== undefined) table.push(['rounds of strangers', strangers.rounds])
  table.push(['held at the end', heldSum(held)])
  const promise = `promised: ${scenario.promise(settings)}`
  const verdict = wrong.length === 0 ? [`As ${promise}`] : [`NOT as ${promise}`, ...wrong.map(line => `  ${line}`)]
  return `${table.toString()}\n${verdict.join('\n')}\n`
}
