import { StrataError } from '@strata/db-context'
import type { JobsOptions } from 'bullmq'
import { backoffRefused, isKnownBackoff } from './backoff.ts'
import { late, within } from './bound.ts'
import type { Caller } from './caller.ts'
import { type Envelope, packEnvelope } from './envelope.ts'
import type { JobDefinition } from './job-definition.ts'
import { kept } from './kept.ts'
import type { Lane } from './lane.ts'
import { outside } from './outside.ts'
import { checkPayload } from './payload.ts'
import { queueError } from './registry.ts'
import { checkOutgoing, printIssues } from './schema.ts'

/** How long a push waits for Redis; a call waits until its own deadline. */
const pushMsMax = 10_000

export interface Outgoing {
  readonly job: JobDefinition
  readonly lane: Lane
  readonly id: string
  readonly data: unknown
  readonly envelope: Envelope
  readonly options: JobsOptions
}

/** @throws INPUT_INVALID, PAYLOAD_TOO_LARGE */
export async function checkInput(caller: Caller, job: JobDefinition, data: unknown): Promise<void> {
  const issues = await checkOutgoing(job.input, data)
  const limit = { bytesMax: caller.payloadBytesMax, outcome: 'not-applied' } as const
  if (issues.length === 0) return checkPayload({ kind: 'Input', job: job.name }, data, limit)
  throw queueError('INPUT_INVALID', `Input of ${job.name} does not fit: ${printIssues(issues)}`, {
    details: { job: job.name, issues },
  })
}

/** Adds a job; resolves with its id, which is another's where BullMQ deduplicated it. @throws SEND_FAILED, OPTION_REFUSED */
export async function addJob(caller: Caller, outgoing: Outgoing): Promise<string> {
  const { job, lane, id, data, envelope, options } = outgoing
  if (!isKnownBackoff(options.backoff)) throw backoffRefused(job.name, options.backoff)
  const own = {
    // The workers of a call lane know it by themselves: what does not travel need not be packed, kept and read again.
    ...(lane.kind === 'call' ? {} : { removeOnComplete: kept, removeOnFail: kept }),
    ...(job.attempts === undefined ? {} : { attempts: job.attempts }),
    ...(job.backoff === undefined ? {} : { backoff: job.backoff }),
    ...options,
    jobId: id,
    // An option that BullMQ does not know travels with the job untouched.
    ...packEnvelope(envelope),
  }
  try {
    const queue = caller.lanes.queue(lane.name)
    const added = await outside(() => queue.add(job.name, data, own))
    return added.id ?? id
  } catch (cause) {
    throw sendFailed({ job, id, lane, isSent: true }, cause)
  }
}

/** A StrataError as it is; anything else by what it says of the job. */
export function sendFailed(
  { job, id, lane, isSent }: Pick<Outgoing, 'id' | 'lane'> & { job: Pick<JobDefinition, 'name'>; isSent: boolean },
  cause: unknown,
): unknown {
  if (cause instanceof StrataError) return cause
  const isWrong = wasRefused(cause)
  return queueError('SEND_FAILED', `Job ${job.name} (${id}) could not be added: ${reason(cause)}`, {
    outcome: !isSent || isWrong || wasNotRun(cause) ? 'not-applied' : 'unknown',
    ...(isWrong ? { transient: false } : {}),
    details: { job: job.name, id, lane: lane.name },
    cause,
  })
}

/** As `addJob`, for what has no deadline of its own. @throws REDIS_TIMEOUT */
export async function addInTime(caller: Caller, outgoing: Outgoing): Promise<string> {
  const id = await within(pushMsMax, addJob(caller, outgoing))
  if (id !== late) return id
  throw queueError(
    'REDIS_TIMEOUT',
    `Redis did not answer within ${pushMsMax} ms: job ${outgoing.job.name} (${outgoing.id}) may have been added`,
    { details: { job: outgoing.job.name, id: outgoing.id, timeoutMs: pushMsMax } },
  )
}

const reason = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

/** What Redis says before it runs anything of a script. Out of memory (OOM) is not among them: it comes in the middle of one. */
const refusedByRedis = /^(READONLY|LOADING|MASTERDOWN|NOAUTH|WRONGPASS) /

/** BullMQ checks a job's options first, and a parent that is missing in its script before it writes. */
const parentMissing = -5

/** True only where it is certain that the job is not there: any other failure may have come after it was added. */
const wasNotRun = (cause: unknown) =>
  cause instanceof Error && cause.name === 'ReplyError' && refusedByRedis.test(cause.message)

/** As `wasNotRun`, and it would not be added another time either. */
function wasRefused(cause: unknown): boolean {
  if (!(cause instanceof Error) || cause.name === 'ReplyError') return false
  if ('code' in cause && cause.code === parentMissing) return true
  return /\bJob\.validateOptions\b/.test(cause.stack ?? '')
}
