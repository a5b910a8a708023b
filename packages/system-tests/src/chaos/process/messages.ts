import type { CallPlan } from '../plan.ts'
import type { HoldPoint } from '../work.ts'

/** Where a round takes place. */
export interface Place {
  readonly redis: string
  readonly prefix: string
  /** The file of the round's history. */
  readonly history: string
}

/** How a worker of the round is set up. */
export interface Serving {
  readonly slots: number
  readonly stalled: {
    readonly lockDurationMs?: number
    readonly stalledIntervalMs?: number
    readonly maxStalledCount?: number
  }
  /** How long it may stop for, when it is told to by SIGTERM. */
  readonly stopMs: number
}

/** A job to be held, until the process is killed or told to release it. */
export interface Hold {
  readonly point: HoldPoint
  readonly id: string
}

/** What the rig tells a process. */
export type Order =
  | { readonly order: 'open'; readonly place: Place; readonly serving: Serving }
  | { readonly order: 'call'; readonly plans: readonly CallPlan[] }
  | { readonly order: 'hold'; readonly hold: Hold }
  | { readonly order: 'release' }
  | { readonly order: 'close' }

/** What a process tells the rig. */
export type Told =
  | { readonly told: 'ready' | 'opened' | 'closed' | 'holding' }
  /** In which round: whoever waited for it in the round before may wait still, and must not take it. */
  | { readonly told: 'reached'; readonly prefix: string }
  | { readonly told: 'failed'; readonly reason: string }
