import Table from 'cli-table3'
import type { Scenario } from '../scenarios/scenario.ts'
import { scenarios } from '../scenarios/scenarios.ts'
import { type Settings, settingsFrom } from '../settings.ts'
import { plain } from './plain.ts'

/** What is about to run, for a person. */
export function intro(settings: Settings, scenario: Scenario): string {
  const { isolation, topology, roots, depth, pool, lanes, processes, strangers, own } = settings
  const place = processes === 1 ? 'API and worker in one process' : `1 API and ${processes - 1} worker processes`
  const flags = Object.entries(own).map(([name, value]) => `, ${name} ${value}`)
  const beside = strangers > 0 ? `, ${strangers} strangers` : ''
  return [
    `${scenario.name}: ${scenario.hazard}`,
    `isolation ${isolation}, ${topology}, ${roots} roots, depth ${depth}, pools of ${pool}, lanes of ${lanes}, ${place}${beside}${flags.join('')}`,
    `promised: ${scenario.promise(settings)}`,
  ].join('\n')
}

/** All scenarios with their hazard and what each isolation promises by default. */
export function scenarioList(): string {
  const table = new Table({
    head: ['scenario', 'hazard', 'isolation none', 'isolation levels'],
    style: plain,
    colWidths: [18, 30, 34, 34],
    wordWrap: true,
  })
  for (const scenario of scenarios) {
    const promise = (isolation: Settings['isolation']) =>
      scenario.promise({
        ...settingsFrom({ isolation }, scenario),
        seed: 0,
      })
    table.push([scenario.name, scenario.hazard, promise('none'), promise('levels')])
  }
  return `${table.toString()}\nRun one: npm run lab -- SCENARIO [--isolation levels|none], or --help for the flags\n`
}
