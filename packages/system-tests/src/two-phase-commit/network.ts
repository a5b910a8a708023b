import type { CommandFault, Seed, SeenCommand } from '@strata/testkit'
import { isStep } from './writes.ts'

/** What becomes of updates of participants on their way: they come late, or from one on not at all. */
export type NetworkName = 'slow' | 'away'

type Network = (command: SeenCommand) => CommandFault | undefined

/** Longer than a claim goes without being renewed, and shorter than the deadline that an update carries. */
const lateMs = 200

/** Longer than that deadline. */
const tooLateMs = 350

export const networks: Readonly<Record<NetworkName, (seed: Seed) => Network>> = {
  slow: seed => {
    let tooLate = seed.integer(0, 2)
    return command => {
      if (!isStep(command)) return undefined
      tooLate -= 1
      return { kind: 'delay', ms: tooLate >= 0 ? tooLateMs : lateMs }
    }
  },
  away: seed => {
    let arriving = seed.integer(0, 7)
    return command => {
      if (!isStep(command)) return undefined
      arriving -= 1
      return arriving >= 0 ? undefined : { kind: 'cut-before' }
    }
  },
}
