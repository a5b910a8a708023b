import { randomUUID } from 'node:crypto'
import type { Protocol } from '@strata/consistency/two-phase-commit'
import type { Seed } from '@strata/testkit'
import type { Place, Told } from './bank.ts'
import { leavings, type TwoPhaseFault } from './faults.ts'
import type { TwoPhaseHistory } from './history.ts'
import { drawTransfers, type TransferPlan } from './plan.ts'
import { Table } from './table.ts'
import { strike } from './victim.ts'

export interface KillRoundOptions {
  readonly fault: TwoPhaseFault
  readonly seed: Seed
  readonly mongo: string
  readonly as: 'process' | 'cut'
  readonly protocol?: Protocol
}

const transfers = 4
const leaseMs = 600

/** For so long what could come late to a document that is missing is waited for: a busy machine takes longer than a lease to come to it. */
const missingMs = 3000

/** One write, one seed: a process is gone there, and two others end everything, at the same time, while sums are read. */
export async function playKill({ fault, seed, mongo, as, protocol }: KillRoundOptions): Promise<TwoPhaseHistory> {
  const place = {
    mongo,
    name: `two-phase-${randomUUID().slice(0, 8)}`,
    leaseMs,
    ...(fault.isMissing && { clockSkewMs: missingMs }),
    ...(protocol && { protocol }),
  }
  await using table = await Table.open(place)
  const plans = drawTransfers(seed, { transfers, isMissing: fault.isMissing === true })
  let reading = table.read()
  const told = await leave(table, { fault, seed, place, plans })
  const tell = (each: Told) => void told.push(each)
  const at = { ...place, ...(fault.isStranger && { isStranger: true }) }
  const sums: number[] = []
  // Until what is resolved has been corrected its sum is not whole.
  if (fault.verb === 'resolve') sums.push(...(await reading()))
  for (const each of await strike({ place: at, fault, seed, plans, as })) tell(each)
  const resolving = fault.verb === 'resolve' ? table.resolve(tell) : undefined
  await Promise.all([resolving, table.recover(0), table.recover(1)])
  await table.correct(plans)
  if (fault.verb === 'resolve') reading = table.read()
  // As its callers would: the same ids again.
  await table.banks[0].run(plans, tell)
  sums.push(...(await reading()))
  return await table.history({ plans, told, sums })
}

interface Leaving {
  readonly fault: TwoPhaseFault
  readonly seed: Seed
  readonly place: Place
  readonly plans: readonly TransferPlan[]
}

/** What is to be taken over somebody has to have left, and what is to be resolved has to be stuck. @returns what that one was told */
async function leave(table: Table, { fault, seed, place, plans }: Leaving): Promise<Told[]> {
  if (!fault.left) return []
  const told = await strike({ place, fault: leavings[seed.pick(fault.left)], seed, plans, as: 'cut' })
  if (fault.verb === 'resolve') await table.stick()
  return told
}
