import { dbContextError, hasCode, type StrataError } from '@strata/db-context'
import { type Job, UnrecoverableError } from 'bullmq'
import type { Redis } from 'ioredis'
import { putBackField } from './cancel.ts'
import { HandlerError } from './handler-error.ts'
import type { Keys } from './keys.ts'
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

/**
 * What BullMQ is told of an error of a handler. A StrataError that was not applied and is not transient says of itself that the
 * same work would be refused again: no attempt is spent on it. By its fields, not by `instanceof`: it may come from deeper work.
 */
export function asFinal(thrown: Error): Error {
  // What was thrown decides: a refusal that came after an effect is refused again all the same.
  const error = thrown instanceof HandlerError ? thrown.cause : thrown
  const { code, outcome, transient } = error as Partial<StrataError>
  if (typeof code !== 'string' || outcome !== 'not-applied' || transient !== false) return error
  const final = new UnrecoverableError(error.message)
  final.stack = error.stack ?? ''
  return final
}

/** True where an earlier run may have done a part: what began and was not put back before its handler. Unknown counts as true. */
export async function mayHaveRunBefore(
  { redis, keys }: { readonly redis: Redis; readonly keys: Keys },
  job: Job,
): Promise<boolean> {
  if (job.attemptsStarted <= 1) return false
  const putBacks = await redis.hget(keys.bullmq(job.queueName, job.id ?? ''), putBackField).catch(() => null)
  return job.attemptsStarted - Number(putBacks) > 1
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

/** The end of a job that was put back until its patience was over: its caller's transaction may be what holds the document. */
export function lockTimeout({ name, id }: Job, lockWaitMs: number, blocked: StrataError): StrataError {
  if (hasCode(blocked.cause, 'ANCESTOR_LOCK')) return blocked.cause
  const mayBeAncestor = 'ancestors' in blocked.details
  const whose = mayBeAncestor ? ', or a transaction that awaits it and wrote it after the call (details.ancestors)' : ''
  const message = `Job ${name} (${id}) was put back for lockWaitMs (${lockWaitMs} ms), for other work${whose} held a document that it writes`
  return dbContextError('LOCK_TIMEOUT', message, {
    details: { ...blocked.details, job: name, id, lockWaitMs },
    cause: blocked.cause,
  })
}

export function handlerMissing(lane: Lane, job: Job) {
  return queueError('HANDLER_MISSING', `Queue ${lane.queue} has no handler for job ${job.name} (${job.id}) here`, {
    details: { queue: lane.queue, job: job.name, id: job.id },
  })
}
