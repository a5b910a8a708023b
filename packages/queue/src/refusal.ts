import type { StrataError } from '@strata/db-context'
import { type Job, UnrecoverableError } from 'bullmq'
import type { Lane } from './lane.ts'
import { queueError } from './registry.ts'

/** A refusal of the job itself: another attempt would end the same way, so BullMQ is told not to make one. */
export class Refusal extends UnrecoverableError {
  readonly refusal: StrataError

  constructor(refusal: StrataError) {
    super(refusal.message)
    this.refusal = refusal
  }
}

/** BullMQ's own signals to itself, which are no failure of the job. */
const controlFlow = new Set(['DelayedError', 'WaitingError', 'WaitingChildrenError', 'RateLimitError'])

export const isControlFlow = (error: unknown): boolean => error instanceof Error && controlFlow.has(error.name)

/** As BullMQ decides it: its own method for that is private. */
export function hasAnotherAttempt(job: Job, error: Error): boolean {
  const unrecoverable = error instanceof UnrecoverableError || error.name === 'UnrecoverableError'
  return !unrecoverable && job.attemptsMade + 1 < (job.opts.attempts ?? 0)
}

/** For metrics: the code, or ERROR for an error without one. */
export function codeOf(error: unknown): string {
  const known = error instanceof Refusal ? error.refusal : error
  return known instanceof Error && 'code' in known ? String(known.code) : 'ERROR'
}

export function handlerMissing(lane: Lane, job: Job) {
  return queueError('HANDLER_MISSING', `Queue ${lane.queue} has no handler for job ${job.name} (${job.id}) here`, {
    details: { queue: lane.queue, job: job.name, id: job.id },
  })
}
