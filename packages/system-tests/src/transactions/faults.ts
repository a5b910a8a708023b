import type { TransactionFault } from './fault.ts'
import { failPointFaults } from './faults/fail-point.ts'
import { primaryFaults } from './faults/primary.ts'
import { replyFaults } from './faults/reply.ts'

/** The matrix of transactions. Those that take longest come first, so that the rounds that run side by side end together. */
export const transactionFaults: readonly TransactionFault[] = [...primaryFaults, ...replyFaults, ...failPointFaults]
