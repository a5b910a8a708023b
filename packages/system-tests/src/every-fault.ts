import { faults } from './chaos/faults.ts'
import { inboxFaults } from './inbox/faults.ts'
import { outboxFaults } from './outbox/faults.ts'
import { transactionFaults } from './transactions/faults.ts'
import { twoPhaseFaults } from './two-phase-commit/faults.ts'

/** What `--fault` may name: the faults of all suites that read it. */
export const everyFault = [...faults, ...transactionFaults, ...outboxFaults, ...inboxFaults, ...twoPhaseFaults]
