/** So that a call that takes too long ends as itself, and not as the end of the transaction around it. */
const headMs = 5000

/** How long a transaction may take that awaits a call of at most `callTimeoutMs`, in milliseconds. */
export const transactionMs = (callTimeoutMs: number): number => callTimeoutMs + headMs

/** For the end of a transaction to get where it is going. */
const tailMs = 1000

/**
 * How long after a charge its enrolment is looked at, in milliseconds: the transaction that awaits the charge began before it, so
 * it has ended by then. Sooner would be safe as well, for the two conflict, but would cancel what is about to succeed.
 */
export const settleMs = (callTimeoutMs: number): number => transactionMs(callTimeoutMs) + tailMs
