import type { Load } from './load.ts'

/** A participant that works. */
export interface Opened {
  readonly load?: Load
  /** Calls that wait here, and jobs that run here. */
  busy(): number
  stop(): Promise<void>
}
