import type { RootEnd } from '../outcome.ts'
import type { ProcessReport } from '../process/report.ts'
import type { Settings } from '../settings.ts'

/** One look at a run under way. */
export interface Frame {
  readonly settings: Settings
  readonly elapsedMs: number
  readonly crew: { readonly ends: ReadonlyMap<number, RootEnd>; readonly reports: readonly ProcessReport[] }
}

/** Where a run tells people what it does. */
export interface View {
  say(line: string): void
  /** Shows the run until the returned function is called. */
  watch(look: () => Frame): () => void
}
