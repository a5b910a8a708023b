import type { Fault } from './fault.ts'
import { callerFaults } from './faults/caller.ts'
import { connectionFaults } from './faults/connection.ts'
import { recordFaults } from './faults/record.ts'
import { redisFaults } from './faults/redis.ts'
import { replyFaults } from './faults/reply.ts'
import { workerFaults } from './faults/worker.ts'

/** The fault matrix. Those that take longest come first, so that the rounds that run side by side end together. */
export const faults: readonly Fault[] = [
  ...callerFaults,
  ...connectionFaults,
  ...workerFaults,
  ...replyFaults,
  ...redisFaults,
  ...recordFaults,
]
