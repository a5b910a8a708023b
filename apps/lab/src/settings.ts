import type { Isolation } from '@strata/db-context'
import { LabError } from './lab-error.ts'
import type { ScenarioShape } from './scenarios/scenario.ts'
import { flagOf } from './scenarios/scenario-flags.ts'

export type Topology = 'replica-set' | 'load-balanced'

/** What the command line says of one run; absent is the scenario's default. */
export interface Flags {
  readonly isolation: Isolation
  readonly topology?: Topology
  readonly pool?: number
  readonly lanes?: number
  /** Of pools and lanes alike, where they are not given. */
  readonly size?: number
  readonly strangers?: number
  readonly roots?: number
  readonly depth?: number
  readonly processes?: number
  readonly deadlineMs?: number
  /** Of the scenario's own flags. */
  readonly own?: Partial<OwnSettings>
}

/** What the flags say that only the run's scenario has. */
export type OwnSettings = Readonly<Record<string, number | string>>

/** Everything that shapes one run; every process of the run gets the same. */
export interface Settings {
  readonly scenario: string
  readonly isolation: Isolation
  readonly topology: Topology
  readonly roots: number
  /** The deepest level, `levels.max`. */
  readonly depth: number
  /** Connections of each pool. */
  readonly pool: number
  /** Jobs at once of each lane and process. */
  readonly lanes: number
  /** One API process and this many less one worker processes; 1 is both in one. */
  readonly processes: number
  /** How many go on beside the roots that have nothing to do with the hazard. */
  readonly strangers: number
  readonly deadlineMs: number
  readonly own: OwnSettings
  readonly seed: number
}

const rootsDefault = 20
const processesDefault = 2
const deadlineMsDefault = 20_000

/** Neither a pool nor a lane may have more, in the product either. */
export const sizeMax = 1000

/**
 * Fills in the scenario's defaults: its scarce resource is 1, the others are large enough never to be waited for.
 * @throws USAGE when the flags cannot show the scenario at all.
 */
export function settingsFrom(flags: Flags, scenario: ScenarioShape): Omit<Settings, 'seed'> {
  const depth = flags.depth ?? scenario.depth.default
  if (depth < scenario.depth.min) {
    throw new LabError('USAGE', `${scenario.name} needs --depth ${scenario.depth.min} or more, got ${depth}`)
  }
  const strangers = flags.strangers ?? 0
  const own = ownSettings(flags.own ?? {}, scenario)
  if (scenario.roots && flags.roots !== undefined) throw decided('--roots', scenario)
  const roots = scenario.roots?.(own) ?? flags.roots ?? rootsDefault
  const ample = scenario.ample ?? roots * depth
  const size = (flag: '--pool' | '--lanes', given: number | undefined, isScarce: boolean): number => {
    const value = given ?? flags.size ?? (isScarce ? 1 : ample)
    if (value <= sizeMax) return value
    const why = `${flag} would be roots x depth = ${ample}, at most ${sizeMax} is possible`
    throw new LabError('USAGE', `${why}: give ${flag}, or fewer --roots or a smaller --depth`)
  }
  const settings = {
    scenario: scenario.name,
    isolation: flags.isolation,
    topology: flags.topology ?? scenario.topology,
    roots,
    depth,
    pool: size('--pool', flags.pool, scenario.scarce === 'pool'),
    lanes: size('--lanes', flags.lanes, scenario.scarce === 'lanes'),
    processes: processesOf(flags, scenario, own),
    strangers,
    deadlineMs: flags.deadlineMs ?? scenario.deadlineMs ?? deadlineMsDefault,
    own,
  }
  const refusal = scenario.refuse?.(settings)
  if (refusal !== undefined) throw new LabError('USAGE', `${scenario.name}: ${refusal}`)
  return settings
}

/** @throws USAGE for a number of processes that is decided otherwise */
function processesOf(flags: Flags, scenario: ScenarioShape, own: OwnSettings): number {
  const { processes = processesDefault, processesWithStrangers } = scenario
  if (typeof processes === 'function') {
    if (flags.processes !== undefined) throw decided('--processes', scenario)
    return processes(own)
  }
  if (flags.processes !== undefined) return flags.processes
  return (flags.strangers ? processesWithStrangers : undefined) ?? processes
}

/** @throws USAGE for a flag of another scenario */
function ownSettings(given: Partial<OwnSettings>, { name, flags = {} }: ScenarioShape): OwnSettings {
  const stranger = Object.keys(given).find(each => !Object.hasOwn(flags, each))
  if (stranger !== undefined) throw new LabError('USAGE', `${name} has no flag ${flagOf(stranger)}`)
  const defaults = Object.entries(flags).map(([each, flag]) => [each, flag.default] as const)
  return { ...Object.fromEntries(defaults), ...given } as OwnSettings
}

const decided = (flag: string, { name, flags = {} }: ScenarioShape) =>
  new LabError('USAGE', `${name} takes no ${flag}: ${Object.keys(flags).map(flagOf).join(', ')} decide it`)
