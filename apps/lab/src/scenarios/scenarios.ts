import { ancestorLock } from './ancestor-lock.ts'
import { awaitBeforeCommit } from './await-before-commit.ts'
import { backlog } from './backlog.ts'
import { bank } from './bank/bank.ts'
import { blockedSlot } from './blocked-slot.ts'
import { blockedStranger } from './blocked-stranger.ts'
import { crossed } from './crossed.ts'
import { depth } from './depth.ts'
import { failover } from './failover.ts'
import { idempotency } from './idempotency.ts'
import { inbox } from './inbox.ts'
import { killedHolder } from './killed-holder.ts'
import { lock } from './lock.ts'
import { longOperation } from './long-operation.ts'
import { order } from './order.ts'
import { outbox } from './outbox.ts'
import { pool } from './pool.ts'
import { retry } from './retry.ts'
import type { Scenario } from './scenario.ts'
import { slots } from './slots.ts'
import { starvedCommit } from './starved-commit.ts'
import { ticketsTaken } from './tickets.ts'
import { upsert } from './upsert.ts'

/** All scenarios, in the order in which they are listed. */
export const scenarios: readonly Scenario[] = [
  pool,
  slots,
  starvedCommit,
  blockedStranger,
  backlog,
  longOperation,
  depth,
  order,
  ancestorLock,
  awaitBeforeCommit,
  retry,
  failover,
  blockedSlot,
  crossed,
  upsert,
  ticketsTaken,
  killedHolder,
  inbox,
  idempotency,
  outbox,
  bank,
  lock,
]

export const findScenario = (name: string): Scenario | undefined => scenarios.find(scenario => scenario.name === name)
