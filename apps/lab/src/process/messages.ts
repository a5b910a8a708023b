import type { BeforeGate, RootEnd, StrangersEnd } from '../outcome.ts'
import type { Settings } from '../settings.ts'
import type { ProcessReport } from './report.ts'

/** What an actor process is: where the roots begin, where their jobs run, or both. */
export type Role = 'api' | 'worker' | 'both'

/** Everything an actor process has to know to open its part of the stage. */
export interface Opening {
  readonly process: string
  readonly role: Role
  readonly settings: Settings
  readonly mongoUrl: string
  readonly redisUrl: string
  /** Names the run's database and is the prefix of its Redis keys. */
  readonly run: string
}

/** Steps that an actor process answers with `done` or `failed`. */
export type Step =
  | { readonly type: 'open'; readonly opening: Opening }
  | { readonly type: 'prepare' }
  | { readonly type: 'work' }
  /** Begins the strangers; done when each has been round once. */
  | { readonly type: 'strangers' }
  /** Compares what the roots have told with the data, when all of them have ended. */
  | { readonly type: 'check' }
  /** Ends the strangers, and what the scenario itself has left to do. */
  | { readonly type: 'quiet'; readonly deadlineMs: number }
  | { readonly type: 'stop' }

export type ToActor =
  | Step
  /** Begins these roots at once, in this order. */
  | { readonly type: 'go'; readonly roots: readonly number[] }
  | { readonly type: 'gate'; readonly name: string }
  | { readonly type: 'report' }

/**
 * What a scenario may have killed as a crash would: the process that asks for it, the primary of its servers, or any worker, which is
 * replaced by a new process of its name.
 */
export type Victim = 'self' | 'primary' | 'worker'

export type FromActor =
  | { readonly type: 'done'; readonly step: Step['type'] }
  | { readonly type: 'failed'; readonly step: Step['type'] | 'beside'; readonly message: string }
  | { readonly type: 'settled'; readonly end: RootEnd }
  /** What went on beside the roots has ended; told also where a scenario has nothing of the kind. */
  | { readonly type: 'beside-ended' }
  | { readonly type: 'gate'; readonly name: string }
  | { readonly type: 'refused'; readonly ms: number }
  /** Asks for a kill; the gate opens in every other process when it is done, and a replacement works. */
  | { readonly type: 'kill'; readonly victim: Victim; readonly gate: string }
  /** Asks to be stopped for so long; the gate opens in every process when it goes on. */
  | { readonly type: 'pause'; readonly ms: number; readonly gate: string }
  | { readonly type: 'strangers-ended'; readonly end: StrangersEnd }
  | { readonly type: 'before-gate'; readonly beforeGate: BeforeGate }
  /** `asked` answers a `report`; the others come by themselves. */
  | { readonly type: 'report'; readonly report: ProcessReport; readonly asked: boolean }
