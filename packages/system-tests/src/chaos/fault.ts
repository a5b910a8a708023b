import type { Explanation } from './history.ts'
import type { Load } from './plan.ts'
import type { Serving } from './process/messages.ts'
import type { Round } from './round.ts'

/** Something that breaks while calls are under way. */
export interface Fault {
  readonly name: string
  /** What happens, in a sentence for the page of faults. */
  readonly about: string
  readonly load?: Partial<Load>
  /** How the workers are set up; `isWhole` is false in the short form, which cannot wait for the product's defaults. */
  readonly serving?: (isWhole: boolean) => Partial<Serving>
  /** None where every call has to get its result. */
  readonly explains?: Partial<Explanation>
  /** True where a worker is killed whose job another one has to run. */
  readonly takesOver?: boolean
  /** False where the strike opens the workers itself. */
  readonly opensWorkers?: boolean
  /** Before the first call. */
  prepare?(round: Round): Promise<void>
  /** While calls are under way: breaks something, mends it where it does not mend itself, and tells by `struck` that it took place. */
  strike(round: Round): Promise<void>
}

/** Locks that end soon, for what would otherwise wait for the defaults of 10 s and 5 s; stalls of a busy machine do no harm. */
export const shortLocks = { lockDurationMs: 2000, stalledIntervalMs: 1000, maxStalledCount: 3 }
