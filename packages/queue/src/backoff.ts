import { queueError } from './registry.ts'

/** False for a strategy that BullMQ does not have: it would throw as it puts the failed job off, and leave it active. */
export function isKnownBackoff(backoff: unknown): boolean {
  if (typeof backoff !== 'object' || backoff === null) return true
  return 'type' in backoff && (backoff.type === 'fixed' || backoff.type === 'exponential')
}

export function backoffRefused(job: string, got: unknown) {
  const message = `Option backoff of a job of ${job} has a type that BullMQ does not have: use fixed or exponential`
  return queueError('OPTION_REFUSED', message, { details: { job, option: 'backoff', got } })
}
