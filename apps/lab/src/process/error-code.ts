/** The code of an error, or of what it was made from; `ERROR` for one without. */
export function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code
  }
  return 'ERROR'
}
