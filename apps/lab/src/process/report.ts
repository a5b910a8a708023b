import type { Activity, PoolState } from '@strata/db-context'
import type { LaneState } from '@strata/queue'
import type { Peak, Symptoms } from '../outcome.ts'

/** What one process holds and waits for at one moment, as it tells the lab. */
export interface ProcessReport {
  readonly process: string
  readonly pools: readonly PoolState[]
  /** Every lane over all processes; told by one of them. */
  readonly lanes: readonly LaneState[]
  readonly statements: readonly Statement[]
  /** Calls whose result is awaited here. */
  readonly calls: readonly Work[]
  /** Jobs that run here. */
  readonly jobs: readonly Work[]
  /** The units of work that were begun for each root, by the id of their chain. */
  readonly units: Readonly<Record<string, number>>
  /** What the scenario has counted here since the start. */
  readonly counts: Symptoms
  /** The most in use at once since the report before. */
  readonly peak: Peak
}

/** A statement or transaction under way. */
export interface Statement {
  /** The first link of its chain. */
  readonly root: string
  readonly level: number
  readonly phase: Activity['phase']
  readonly what: string
  readonly ageMs: number
}

/** A job, seen from its caller or from its worker. */
export interface Work {
  readonly root: string
  readonly job: string
  readonly name: string
  readonly level: number
  readonly ageMs: number
}
