/** So that a call that takes too long ends as itself, and not as the end of the transaction around it. */
const headMs = 5000

/** How long a transaction may take that awaits a call of at most `callTimeoutMs`, in milliseconds. */
export const transactionMs = (callTimeoutMs: number): number => callTimeoutMs + headMs
