/** False for a strategy that BullMQ does not have: it would throw as it puts the failed job off, and leave it active. */
export function isKnownBackoff(backoff: unknown): boolean {
  if (typeof backoff !== 'object' || backoff === null) return true
  return 'type' in backoff && (backoff.type === 'fixed' || backoff.type === 'exponential')
}
