import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Protocol } from '@strata/consistency/two-phase-commit'
import { type CommandFault, type SeenCommand, startCommandProxy, until } from '@strata/testkit'
import type { Filter, UpdateFilter } from 'mongodb'
import { Bank, names } from './bank.ts'
import type { Account, TwoPhaseHistory } from './history.ts'
import { Table } from './table.ts'
import { isApply } from './writes.ts'

export interface LateRoundOptions {
  readonly mongo: string
  readonly protocol?: Protocol
}

const leaseMs = 2000
const plan = { id: 't0', from: 'a', to: 'd', amount: 10 }

interface Kept {
  readonly q: Filter<Account>
  readonly u: UpdateFilter<Account>
}

/**
 * The network keeps a coordinator's updates of participants; somebody cancels the transaction; then the updates arrive, at once, and
 * again when the deadline that they carry is over.
 */
export async function playLate({ mongo, protocol }: LateRoundOptions): Promise<TwoPhaseHistory> {
  const place = { mongo, name: `two-phase-${randomUUID().slice(0, 8)}`, leaseMs, ...(protocol && { protocol }) }
  await using table = await Table.open(place)
  const kept: Kept[] = []
  const breaks = (command: SeenCommand): CommandFault | undefined => {
    if (!isApply(command)) return kept.length > 0 ? { kind: 'cut-before' } : undefined
    kept.push(...(command.document()['updates'] as Kept[]))
    return { kind: 'cut-before' }
  }
  await using proxy = await startCommandProxy(mongo, breaks)
  const gone = new Bank({ ...place, mongo: proxy.url })
  const running = gone.run([plan]).catch(() => {})
  await until(() => kept.length >= 2, { deadlineMs: 30_000, message: 'both updates to be sent' })
  const [{ commits }] = table.banks
  const told = [{ id: plan.id, state: (await commits.cancel(plan.id)).state }]
  const accounts = table.client.db(place.name).collection<Account>(names.accounts)
  for (const late of [0, leaseMs]) {
    await sleep(late)
    for (const { q, u } of kept) await accounts.updateOne(q, u)
  }
  void Promise.allSettled([running, gone[Symbol.asyncDispose]()])
  return await table.history({ plans: [plan], told, sums: [] })
}
