import type { Isolation } from '@strata/db-context'
import { seedFrom } from '@strata/testkit'
import { Command, Option } from 'commander'
import { runLab } from '../lab/run.ts'
import { LabError } from '../lab-error.ts'
import { terminalView } from '../live/terminal-view.ts'
import { intro, scenarioList } from '../report/intro.ts'
import { resultJson } from '../report/result-json.ts'
import { resultTable } from '../report/result-table.ts'
import { versionsOf } from '../report/versions.ts'
import { findScenario, scenarios } from '../scenarios/scenarios.ts'
import { type Settings, settingsFrom, sizeMax, type Topology } from '../settings.ts'
import type { Surroundings } from './main-program.ts'
import { wholeNumber } from './number-flag.ts'

interface LabFlags {
  readonly isolation: Isolation
  readonly topology?: Topology
  readonly pool?: number
  readonly lanes?: number
  readonly roots: number
  readonly depth?: number
  readonly processes: number
  readonly deadlineMs: number
  readonly seed?: number
  readonly json?: true
}

const seedMax = 2 ** 32 - 1

export function labCommand(around: Surroundings): Command {
  const number = (flag: string, about: string, [min, max]: readonly [number, number]) =>
    new Option(`${flag} <n>`, about).argParser(wholeNumber(min, max))
  return new Command('lab')
    .description(
      'Plays a hazard on real servers and in real processes, with levels or without; lists all without a name',
    )
    .argument('[scenario]', `one of ${scenarios.map(({ name }) => name).join(', ')}`)
    .addOption(
      new Option('--isolation <kind>', 'with levels, or without').choices(['levels', 'none']).default('levels'),
    )
    .addOption(number('--pool', "connections of each pool (default: the scenario's)", [1, sizeMax]))
    .addOption(number('--lanes', "jobs at once of each lane and process (default: the scenario's)", [1, sizeMax]))
    .addOption(number('--roots', 'requests at once', [1, 1000]).default(20))
    .addOption(number('--depth', "deepest level (default: the scenario's)", [1, 64]))
    .addOption(number('--processes', 'one API process and workers; 1 is both in one', [1, 16]).default(2))
    .addOption(number('--deadline-ms', 'when a root that waits counts as hung', [100, 600_000]).default(20_000))
    .addOption(
      new Option('--topology <kind>', "what the driver sees (default: the scenario's)").choices([
        'replica-set',
        'load-balanced',
      ]),
    )
    .addOption(number('--seed', 'decides the order in which the roots begin', [0, seedMax]))
    .option('--json', 'prints the result as JSON, on the last line of stdout')
    .action((name: string | undefined, flags: LabFlags) => run(name, flags, around))
}

async function run(name: string | undefined, flags: LabFlags, around: Surroundings): Promise<void> {
  if (name === undefined) {
    around.out(
      flags.json ? `${JSON.stringify(scenarios.map(({ name, hazard }) => ({ name, hazard })))}\n` : scenarioList(),
    )
    return
  }
  const scenario = findScenario(name)
  if (scenario === undefined) {
    throw new LabError('USAGE', `No scenario ${name}; there are ${scenarios.map(each => each.name).join(', ')}`)
  }
  const checked = settingsFrom(flags, scenario)
  const view = terminalView(process.stderr)
  const seed = seedFrom({ ...(flags.seed === undefined ? {} : { flag: flags.seed }), report: view.say })
  const settings: Settings = { ...checked, seed: seed.value }
  view.say(intro(settings, scenario))
  await runLab(settings, scenario, {
    view,
    signal: around.signal,
    // Told before anything is taken down: whatever hangs, the result is out.
    onResult: result => {
      const json = () => `${JSON.stringify(resultJson(result, versionsOf(result.servers)))}\n`
      around.out(flags.json ? json() : resultTable(result, scenario))
      around.exitCode(result.wrong.length === 0 ? 0 : 1)
    },
  })
}
