import type { Transfer } from '@strata/consistency/two-phase-commit'
import type { Seed } from '@strata/testkit'

export interface TransferPlan extends Transfer {
  readonly id: string
}

export const balances: Readonly<Record<string, number>> = { a: 100, b: 100, c: 100, d: 0 }
export const accountIds = Object.keys(balances)
export const total = Object.values(balances).reduce((sum, balance) => sum + balance, 0)

/**
 * Draws the transfers of a round: every other one is of more than there is, so that each comes to all steps. `isMissing`: the first is to
 * an account that there is not.
 */
export function drawTransfers(
  seed: Seed,
  { transfers, isMissing }: { readonly transfers: number; readonly isMissing: boolean },
): TransferPlan[] {
  return Array.from({ length: transfers }, (_, index) => {
    const from = seed.integer(0, 2)
    const to = (from + seed.integer(1, 3)) % accountIds.length
    const amount = index % 2 ? seed.integer(total + 1, total * 2) : seed.integer(1, 20)
    const toId = isMissing && index === 0 ? 'nobody' : accountIds[to]
    return { id: `t${index}`, from: accountIds[from] ?? 'a', to: toId ?? 'b', amount }
  })
}
