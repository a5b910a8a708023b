import { Bank, type Place, type Told } from '../bank.ts'
import type { Verb } from '../faults.ts'
import type { TransferPlan } from '../plan.ts'

/** What the rig tells the process of a coordinator. */
export interface Order {
  readonly place: Place
  readonly plans: readonly TransferPlan[]
  readonly verb: Verb
}

// Does with the transfers what it is told to, until it is killed.

process.on('message', ({ place, plans, verb }: Order) => {
  const bank = new Bank(place)
  bank.act(verb, plans, (told: Told) => process.send?.(told)).catch(error => process.send?.({ failed: String(error) }))
})
process.on('disconnect', () => process.exit(1))
process.send?.('ready')
