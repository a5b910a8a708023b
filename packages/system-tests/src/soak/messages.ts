import type { LoadTotals, Progress } from './load.ts'
import type { ProcessFigures } from './process-figures.ts'
import type { SoakSettings } from './settings.ts'

export type Role = 'caller' | 'worker'

/** Where a process of the soak works. */
export interface Place {
  readonly mongoUrl: string
  readonly redisUrl: string
  readonly settings: SoakSettings
}

/** What a process of the soak is told; each order has its own answer. */
export type Order =
  | { readonly type: 'open'; readonly role: Role; readonly place: Place }
  | { readonly type: 'load' }
  | { readonly type: 'rest' }
  | { readonly type: 'look' }
  | { readonly type: 'resume' }
  | { readonly type: 'stop' }

export interface Answers {
  readonly open: Record<never, never>
  readonly load: { readonly totals: LoadTotals }
  /** Once no call waits. */
  readonly rest: { readonly progress: Progress }
  /** `busy`: calls that wait, or jobs that run. */
  readonly look: { readonly figures: ProcessFigures; readonly busy: number }
  readonly resume: Record<never, never>
  readonly stop: Record<never, never>
}

/** `to` is the order that is answered. */
export type Answer =
  | { [T in Order['type']]: { readonly to: T; readonly ok: true } & Answers[T] }[Order['type']]
  | { readonly to: Order['type']; readonly ok: false; readonly message: string }
