import type { CommandFault, SeenCommand } from '@strata/testkit'
import type { Explanation } from './history.ts'
import type { Load } from './plan.ts'
import type { Round } from './round.ts'

/** Something that breaks while transactions are under way. */
export interface TransactionFault {
  readonly name: string
  /** What happens, in a sentence for the page. */
  readonly about: string
  /** How many servers the replica set has. */
  readonly members: 1 | 3
  readonly load?: Partial<Load>
  /** None where each transaction has to be committed. */
  readonly explains?: Partial<Explanation>
  /** Breaks single commands between the driver and the server; made anew for each round. */
  breaks?(round: Round): (command: SeenCommand) => CommandFault | undefined
  /** While transactions are under way; tells by `struck` that it took place, unless the commands themselves do. */
  strike?(round: Round): Promise<void>
}
