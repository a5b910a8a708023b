const duplicateKeyCode = 11_000

/** True for a write that a unique key refuses. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === duplicateKeyCode
