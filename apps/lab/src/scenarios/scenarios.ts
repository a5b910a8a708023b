import { backlog } from './backlog.ts'
import { blockedStranger } from './blocked-stranger.ts'
import { depth } from './depth.ts'
import { longOperation } from './long-operation.ts'
import { order } from './order.ts'
import { pool } from './pool.ts'
import type { Scenario } from './scenario.ts'
import { slots } from './slots.ts'
import { starvedCommit } from './starved-commit.ts'

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
]

export const findScenario = (name: string): Scenario | undefined => scenarios.find(scenario => scenario.name === name)
