import type { Isolation } from '@strata/db-context'
import { seedFrom } from '@strata/testkit'
import { Command, Option } from 'commander'
import { runLab } from '../lab/run.ts'
import type { SeriesPart } from '../lab/series.ts'
import type { View } from '../lab/view.ts'
import { LabError } from '../lab-error.ts'
import { terminalView } from '../live/terminal-view.ts'
import { intro, scenarioList } from '../report/intro.ts'
import { resultJson } from '../report/result-json.ts'
import { resultTable } from '../report/result-table.ts'
import { versionsOf } from '../report/versions.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { flagOf } from '../scenarios/scenario-flags.ts'
import { findScenario, scenarios } from '../scenarios/scenarios.ts'
import { type Flags, settingsFrom, sizeMax, type Topology } from '../settings.ts'
import type { Surroundings } from './main-program.ts'
import { wholeNumber } from './number-flag.ts'
import { runSeriesCommand } from './series-command.ts'

interface LabFlags {
  readonly isolation: Isolation
  readonly topology?: Topology
  readonly pool?: number
  readonly lanes?: number
  readonly size?: number
  readonly strangers?: number
  readonly roots?: number
  readonly depth?: number
  readonly processes?: number
  readonly deadlineMs?: number
  readonly seed?: number
  readonly times?: number
  readonly json?: true
}

/** In the place of a scenario: every one. */
const all = 'all'

const seedMax = 2 ** 32 - 1

export function labCommand(around: Surroundings): Command {
  const number = (flag: string, about: string, [min, max]: readonly [number, number]) =>
    new Option(`${flag} <n>`, about).argParser(wholeNumber(min, max))
  const command = new Command('lab')
    .description(
      'Plays a hazard on real servers and in real processes, with levels or without; lists all without a name',
    )
    .argument('[scenario]', `one of ${scenarios.map(({ name }) => name).join(', ')}, or all`)
    .addOption(
      new Option('--isolation <kind>', 'with levels, or without').choices(['levels', 'none']).default('levels'),
    )
    .addOption(number('--pool', "connections of each pool (default: the scenario's)", [1, sizeMax]))
    .addOption(number('--lanes', "jobs at once of each lane and process (default: the scenario's)", [1, sizeMax]))
    .addOption(
      number('--size', 'connections of each pool and jobs at once of each lane, where not given', [1, sizeMax]),
    )
    .addOption(number('--strangers', 'who goes on beside the roots, in the same pools and lanes', [1, sizeMax]))
    .addOption(number('--roots', 'requests at once (default: 20)', [1, 1000]))
    .addOption(number('--depth', "deepest level (default: the scenario's)", [1, 64]))
    .addOption(
      number('--processes', "one API process and workers; 1 is both in one (default: the scenario's)", [1, 16]),
    )
    .addOption(
      number(
        '--deadline-ms',
        "when a root that waits counts as hung (default: the scenario's, mostly 20000)",
        [100, 600_000],
      ),
    )
    .addOption(
      new Option('--topology <kind>', "what the driver sees (default: the scenario's)").choices([
        'replica-set',
        'load-balanced',
      ]),
    )
    .addOption(number('--seed', 'decides the order in which the roots begin', [0, seedMax]))
    .addOption(number('--times', 'plays it so many times in a row on the same servers', [1, 1000]))
    .option('--json', 'prints the result as JSON, on the last line of stdout')
    .action((name: string | undefined, flags: LabFlags) => run(name, flags, around))
  for (const option of ownOptions()) command.addOption(option)
  return command
}

/** The flags that only some scenario has. */
function ownOptions(): Option[] {
  return scenarios.flatMap(({ name, flags = {} }) =>
    Object.entries(flags).map(([flag, own]) => {
      const about = `${name}: ${own.about} (default: ${own.default})`
      if ('choices' in own) return new Option(`${flagOf(flag)} <kind>`, about).choices(own.choices)
      return new Option(`${flagOf(flag)} <n>`, about).argParser(wholeNumber(own.min, own.max))
    }),
  )
}

async function run(name: string | undefined, flags: LabFlags, around: Surroundings): Promise<void> {
  if (name === undefined) {
    around.out(
      flags.json ? `${JSON.stringify(scenarios.map(({ name, hazard }) => ({ name, hazard })))}\n` : scenarioList(),
    )
    return
  }
  const view = terminalView(process.stderr)
  const parts = partsOf(name, flags, view.say)
  const [first] = parts
  if (first === undefined || name === all || flags.times !== undefined) {
    return await runSeriesCommand({ parts, times: flags.times ?? 1, isJson: flags.json === true }, around)
  }
  await runOnce(first, { flags, view, around })
}

/** The scenario of this name, or all of them, with the settings of its first run. @throws USAGE */
function partsOf(name: string, flags: LabFlags, report: (line: string) => void): SeriesPart[] {
  const scenario = findScenario(name)
  if (scenario === undefined && name !== all) {
    throw new LabError('USAGE', `No scenario ${name}; there are ${scenarios.map(each => each.name).join(', ')}`)
  }
  const checked = (scenario === undefined ? scenarios : [scenario]).map(each => ({
    scenario: each,
    settings: settingsFrom(scenario === undefined ? flagsAmongAll(flags, each) : withOwn(flags, scenarios), each),
  }))
  const seed = seedFrom({ ...(flags.seed === undefined ? {} : { flag: flags.seed }), report })
  return checked.map(({ scenario, settings }) => ({ scenario, settings: { ...settings, seed: seed.value } }))
}

/** Where all are played each takes the flags that it has, and leaves the others. */
function flagsAmongAll(flags: LabFlags, scenario: Scenario): Flags {
  const { roots, processes, ...rest } = withOwn(flags, [scenario])
  return {
    ...rest,
    ...(roots === undefined || scenario.roots ? {} : { roots }),
    ...(processes === undefined || typeof scenario.processes === 'function' ? {} : { processes }),
  }
}

/** With what is given of the flags that only these scenarios have. */
function withOwn(flags: LabFlags, of: readonly Scenario[]): Flags {
  const names = of.flatMap(each => Object.keys(each.flags ?? {})).filter(name => Object.hasOwn(flags, name))
  return { ...flags, own: Object.fromEntries(names.map(name => [name, Reflect.get(flags, name)])) }
}

async function runOnce(
  { scenario, settings }: SeriesPart,
  { flags, view, around }: { flags: LabFlags; view: View; around: Surroundings },
): Promise<void> {
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
