import { seeded } from '@strata/testkit'
import type { Settings } from '../../settings.ts'

/** A transfer that is to be made, the same in every process of a run. */
export interface PlannedTransfer {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly amountCents: number
}

/** What each account holds at first, and the most that a transfer moves: enough that some accounts run dry. */
export const balanceCents = 1000
const amountCentsMax = 400

export const accountIds = ({ own }: Settings): string[] =>
  Array.from({ length: Number(own['accounts']) }, (_, index) => `account-${index}`)

export function drawTransfers(settings: Settings): PlannedTransfer[] {
  const seed = seeded(settings.seed)
  const accounts = accountIds(settings)
  return Array.from({ length: settings.roots }, (_, index) => {
    const from = seed.integer(0, accounts.length - 1)
    const to = (from + seed.integer(1, accounts.length - 1)) % accounts.length
    const amountCents = seed.integer(1, amountCentsMax)
    return { id: `transfer-${index}`, from: accounts[from] ?? '', to: accounts[to] ?? '', amountCents }
  })
}
