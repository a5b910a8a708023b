import { randomUUID } from 'node:crypto'
import { type Seed, until } from '@strata/testkit'
import type { Rig } from '../transactions/rig.ts'
import type { Bank, Told } from './bank.ts'
import type { FailoverFault } from './faults.ts'
import type { TwoPhaseHistory } from './history.ts'
import { drawTransfers, type TransferPlan } from './plan.ts'
import { Table } from './table.ts'

export interface FailoverRoundOptions {
  readonly fault: FailoverFault
  readonly seed: Seed
  /** Three servers. */
  readonly rig: Rig
}

const leaseMs = 1000
const callers = 4
/** At most: they go on until the primary is replaced, and a while longer. */
const transfersMax = 900
/** Ended before the primary is replaced, and begun after it. */
const aroundMax = 20
const strikeMsMax = 60_000

/** One failover, one seed: two processes run transfers between few accounts, and both recover afterwards. */
export async function playFailover({ fault, seed, rig }: FailoverRoundOptions): Promise<TwoPhaseHistory> {
  const place = { mongo: rig.server.url, name: `two-phase-${randomUUID().slice(0, 8)}`, leaseMs }
  await using table = await Table.open(place)
  const load = new Load(drawTransfers(seed, { transfers: transfersMax, isMissing: false }))
  const mend = await load.runDuring(table.banks, async () => {
    const first = seed.integer(1, aroundMax)
    await until(() => load.told.length >= first, { deadlineMs: strikeMsMax, message: `${first} ends`, everyMs: 2 })
    return await rig.replacePrimary(fault.how, seed)
  })
  await mend()
  await Promise.all([table.recover(0), table.recover(1)])
  const reading = table.read()
  // As its callers would who have heard nothing: the same ids again.
  await table.banks[0].run(load.begun, told => load.told.push(told))
  return await table.history({ plans: load.begun, told: load.told, sums: await reading() })
}

/** Transfers that begin for as long as something happens, and a while after it. */
class Load {
  readonly begun: TransferPlan[] = []
  readonly told: Told[] = []
  readonly #plans: TransferPlan[]

  constructor(plans: TransferPlan[]) {
    this.#plans = plans
  }

  async runDuring<T>(banks: readonly Bank[], happens: () => Promise<T>): Promise<T> {
    let left = Number.POSITIVE_INFINITY
    const happening = happens().finally(() => {
      left = aroundMax
    })
    const each = async (bank: Bank) => {
      for (; left > 0; left -= 1) {
        const plan = this.#plans.shift()
        if (!plan) return
        this.begun.push(plan)
        // Where nothing is told it may have been done, and may be done yet.
        await bank.run([plan], told => this.told.push(told)).catch(() => {})
      }
    }
    const all = banks.flatMap(bank => Array.from({ length: callers }, () => each(bank)))
    const [done] = await Promise.all([happening, ...all])
    return done
  }
}
