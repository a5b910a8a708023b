/** Another open transaction holds the document. */
const writeConflict = 112

/** Another transaction has made the document since this one began. */
const duplicateKey = 11_000

/**
 * True for what a transaction's own first write of a row meets while another transaction has that row, or had it a moment ago. By
 * the driver's code: an error of ours, as one about an ancestor's lock, has another meaning.
 */
export const isHeld = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === writeConflict || error.code === duplicateKey)
