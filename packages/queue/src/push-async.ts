import { hasCode } from '@strata/db-context'
import type { JobsOptions } from 'bullmq'
import type { Call } from './call.ts'
import { type Caller, stopped } from './caller.ts'
import { cancelJob } from './cancel.ts'
import { chooseClaim } from './chosen-id.ts'
import { type Claim, claimJob, contentHash, jobIdClaim } from './claim.ts'
import { issue } from './issued-calls.ts'
import type { JobDefinition } from './job-definition.ts'
import { newJobId } from './job-id.ts'
import { callLane } from './lane.ts'
import { waitMsLimit } from './limits.ts'
import { queueError } from './registry.ts'
import { addJob, checkInput, sendFailed } from './send.ts'

/** BullMQ's options for a call; those that would let it be overtaken or put off are refused. */
export interface PushAsyncOptions extends JobsOptions {
  /**
   * The longest wait, in milliseconds. Default: the job's own `deadlineMs`, else 30,000. Never past the deadline of the
   * unit of work and the transaction around the call.
   */
  readonly deadlineMs?: number
  /** Gives the call up: a job that has not started is removed. */
  readonly signal?: AbortSignal
  /** The level to run at, deeper than the current one; the next one by default. Taken as given. */
  readonly dbInfo?: { readonly level?: number }
}

/** Whoever waits holds something: a call that others may overtake, or that is put off, could wait for ever (order of queues). */
const refusedOptions = ['delay', 'priority', 'lifo', 'repeat', 'parent'] as const

/** Room for the caller to act on a call that timed out, before its own deadline: a tenth of what is left, at most this. */
const marginMsMax = 250

/** A call may join a job whose replies have just gone out: its record is looked at soon. */
const lookMsForChosenId = 50

interface Sending {
  readonly data: unknown
  readonly bullmq: JobsOptions
  readonly claim: string | undefined
  /** True where a job of the claim has to be the very same. */
  readonly comparesContent: boolean
}

/** Sends a job and waits for its result; see `Queues.pushAsync`. */
export async function pushAsync(
  caller: Caller,
  sending: { readonly job: JobDefinition; readonly data: unknown; readonly defaultMs: number },
  { deadlineMs, signal, dbInfo, deduplication, ...bullmq }: PushAsyncOptions,
): Promise<unknown> {
  const { job, data } = sending
  if (caller.isStopping) throw stopped()
  const plan = caller.propagator.call(job.name, dbInfo?.level === undefined ? {} : { level: dbInfo.level })
  // Before anything can fail: the number of a call is its place among all those of the body.
  const step = plan.step()
  refuseOptions(job, bullmq)
  checkDeadline(job, deadlineMs)
  const claim = chooseClaim(job, bullmq.jobId, deduplication)
  const margin = Math.min(marginMsMax, plan.remainingMs / 10)
  const given = step?.signal ?? plan.signal
  // Another process may make, or have made, this call: then the id of its job is how the two find each other.
  const isShared = step?.isShared === true
  const begin = (id: string): Call => {
    const call = caller.open({
      id: isShared ? newJobId() : id,
      jobId: bullmq.jobId ?? id,
      job,
      lane: callLane(job.queue, plan.level, caller.propagator.isolated),
      plan,
      deadlineMs: Math.min(deadlineMs ?? job.deadlineMs ?? sending.defaultMs, plan.remainingMs - margin),
      signals: signal ? [given, signal] : [given],
      keepsReply: step !== undefined,
    })
    const own = isShared && claim === undefined ? jobIdClaim(id) : undefined
    send(caller, call, { data, bullmq, claim: own ?? claim, comparesContent: own !== undefined }).catch(error => {
      const { lane, jobId, phase } = call
      if (hasCode(error, 'RETRY_DIVERGED')) step?.diverge(error)
      call.fail(sendFailed({ job, lane, id: jobId, isSent: phase !== 'preparing' }, error))
    })
    return call
  }
  return await (step ? issue(step, { job, plan, data, claim }, begin) : begin(newJobId()).promise)
}

async function send(caller: Caller, call: Call, what: Sending): Promise<void> {
  const { job, plan } = call
  const { claim } = what
  await checkInput(caller, job, what.data)
  await caller.start()
  const hash = what.comparesContent ? contentHash(job.name, what.data) : undefined
  if (claim !== undefined && (await join(caller, call, { name: claim, contentHash: hash }))) return
  const { lane } = call
  await caller.lanes.register(lane)
  if (!call.isOpen) return await leave(caller, call)
  const now = caller.clock.now()
  const times = { deadline: Math.floor(now + call.remainingMs), sent: Math.floor(now) }
  const { level, chain } = plan
  call.noteSent()
  call.become('sent', caller.server.known)
  const shared = claim === undefined ? {} : { claim }
  await addJob(caller, {
    job,
    lane,
    id: call.jobId,
    data: what.data,
    envelope: { v: 1, kind: 'call', level, chain, ...times, replyTo: caller.id, callId: call.id, ...shared },
    options: what.bullmq,
  })
  caller.watch(call, claim === undefined ? undefined : lookMsForChosenId)
}

/** Given up before its job was sent: nobody is to wait for that job. */
async function leave({ redis, keys }: Caller, call: Call): Promise<void> {
  if (call.claimKey !== undefined) await cancelJob(redis, keys, { call, abort: false })
}

/** True where the call has nothing to send: its job is there, or has ended. @throws DUPLICATE_CALL, RETRY_DIVERGED */
async function join(caller: Caller, call: Call, claim: Claim): Promise<boolean> {
  const { levelsMax, isolated } = caller.propagator
  if (!call.isOpen) return true
  call.become('claiming', caller.server.known)
  const claimed = await claimJob(caller, call, { ...claim, levelsMax, isolated })
  if (claimed.state === 'new') {
    call.phase = 'preparing'
    return false
  }
  call.noteSent()
  if (!call.isOpen) await leave(caller, call)
  else if (typeof claimed.end === 'object') call.deliver(claimed.end)
  else caller.watch(call, lookMsForChosenId)
  return true
}

/** @throws OPTION_REFUSED */
function checkDeadline(job: JobDefinition, deadlineMs: number | undefined): void {
  if (deadlineMs === undefined || (deadlineMs > 0 && deadlineMs <= waitMsLimit)) return
  throw queueError(
    'OPTION_REFUSED',
    `Option deadlineMs of a call of ${job.name} is ${deadlineMs}, expected more than 0 and at most ${waitMsLimit} ms`,
    { details: { job: job.name, option: 'deadlineMs', got: String(deadlineMs), limitMs: waitMsLimit } },
  )
}

/** @throws OPTION_REFUSED */
function refuseOptions(job: JobDefinition, options: JobsOptions): void {
  for (const option of refusedOptions) {
    const got: unknown = (options as Record<string, unknown>)[option]
    if (got === undefined || got === false || got === 0) continue
    throw queueError(
      'OPTION_REFUSED',
      `Option ${option} cannot be used on an awaited call of ${job.name}: calls run first come, first served. Push it instead`,
      { details: { job: job.name, option, got } },
    )
  }
}
