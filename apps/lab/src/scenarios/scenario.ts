import type { Isolation } from '@strata/db-context'
import type { MongoOptions } from '@strata/testkit'
import type { Outcome } from '../outcome.ts'
import type { Handlers, Stage } from '../process/stage.ts'
import type { OwnSettings, Settings, Topology } from '../settings.ts'
import type { ScenarioFlags } from './scenario-flags.ts'

/** What of a scenario decides its defaults. */
export interface ScenarioShape {
  readonly name: string
  /** What there is one of by default, and ample of everything else. */
  readonly scarce: 'pool' | 'lanes' | 'nothing'
  readonly topology: Topology
  readonly depth: { readonly min: number; readonly default: number }
  /** How many processes, if not given; default 2. One that its own flags decide is not to be given. */
  readonly processes?: number | ((own: OwnSettings) => number)
  /** Flags that only it has. */
  readonly flags?: ScenarioFlags
  /** Its number of roots where its own flags decide it; `--roots` otherwise. */
  roots?(own: OwnSettings): number
  /** When roots count as hung, if not given, in milliseconds; default 20,000. */
  readonly deadlineMs?: number
  /** What there is of connections and slots where none are scarce; default roots x depth. */
  readonly ample?: number
  /** What it counts beyond its roots: further fields of the result. */
  readonly counts?: readonly string[]
  /** With levels, how long work waits for a document, in milliseconds; the product's default where it is not given. */
  lockWaitMs?(settings: Settings): number
  /** A MongoDB of its own, whatever URL is given: so many members, or with these arguments. */
  readonly ownMongo?: Pick<MongoOptions, 'members' | 'mongoArgs'>
  /** True where pushes go through an outbox with levels, and after the commit without. */
  readonly followsCommits?: true
  /** True where it belongs to what is shown that the server ends old transactions after its usual 60 s. */
  readonly needsLifetime?: true
  /** The processes that it takes by default where strangers go on beside it; 2 as ever by default. */
  readonly processesWithStrangers?: number
  /** True where it belongs to what is shown that whatever goes on beside it may fail. */
  readonly strangersMayFail?: true
  /** Why nothing is promised under these settings, if so: then it is not played. */
  refuse?(settings: Omit<Settings, 'seed'>): string | undefined
}

/**
 * One hazard, played by the product's own verbs in real processes: what it is, what each isolation promises, and whether an
 * outcome is the promised one. The same code runs under both isolations.
 */
export interface Scenario extends ScenarioShape {
  /** The hazard in one sentence, for a person. */
  readonly hazard: string
  /** What is promised under these settings, for a person. */
  promise(settings: Settings): string
  /** Whether the outcome is the promised one: every way in which it is not, in words; empty when it is. */
  judge(outcome: Outcome, settings: Settings): readonly string[]
  /** Set-up in the API process, before any worker starts and before any root. */
  prepare?(stage: Stage): Promise<void>
  /** Registers the handlers of the scenario's jobs; called in every process with a worker, before it starts. */
  work?(handlers: Handlers, stage: Stage): void
  /** What goes on by itself in each worker process, from its start. */
  inWorkers?(stage: Stage): Promise<void>
  /** One root; called in the API process, for all roots at once. */
  root(stage: Stage, root: number): Promise<void>
  /** What goes on beside the roots in the API process; it begins with them and is not one of them. */
  beside?(stage: Stage): Promise<void>
  /** Takes back the work that it has left to do, so that nothing is held once it is over; in the API process, at the end. */
  quiet?(stage: Stage): Promise<void>
  /** Compares what was told with the data, and counts; in the API process, when all roots have ended. */
  check?(stage: Stage): Promise<void>
}

export const isIsolated = ({ isolation }: { readonly isolation: Isolation }): boolean => isolation === 'levels'
