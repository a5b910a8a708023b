import { setTimeout as sleep } from 'node:timers/promises'
import { dbContextError, deadlineIn, hasCode, type OutgoingCall, remainingMs } from '@strata/db-context'
import { late, within } from './bound.ts'
import type { Caller } from './caller.ts'
import type { JobDefinition } from './job-definition.ts'
import { queueError } from './registry.ts'
import { endFields, type Reply, readRecordedEnd } from './reply.ts'
import { receive } from './result.ts'

export interface ResultOptions {
  /** The longest wait, in milliseconds; default: the job's own `deadlineMs`, else 30,000. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

/** A job that was pushed, or will be when the transaction commits. */
export interface Pushed<Result> {
  readonly id: string
  /**
   * Waits for the result by looking at the job's record, 20 times a second at most. Meant for scripts and tests: a request
   * that needs a result uses `pushAsync`.
   *
   * One that is still in the outbox is waited for as one that waits in its lane.
   *
   * @throws AWAIT_BEFORE_COMMIT, LEVEL_ORDER, LEVEL_LIMIT, HOLD_AND_WAIT, CALL_TIMEOUT, CALL_ABORTED, RESULT_LOST, JOB_FAILED,
   * RESULT_INVALID, REDIS_UNREACHABLE (`unknown`)
   */
  result(options?: ResultOptions): Promise<Result>
}

const pollMsFirst = 10
const pollMsMax = 500

/** What a result's schema may take beyond the deadline. */
const readMsMax = 500

/** A push as its sender knows it. */
export interface Push {
  readonly caller: Caller
  readonly job: JobDefinition
  readonly id: string
  readonly level: number
  readonly defaultMs: number
  /** Set when the job has been added, or is certain to be, or its adding has failed. */
  published: boolean
  /** An outbox has it: it may be added at any later time. */
  readonly isKept?: boolean
  failure?: unknown
}

export function pushed(push: Push): Pushed<unknown> {
  return { id: push.id, result: (options = {}) => result(push, options) }
}

async function result(push: Push, options: ResultOptions): Promise<unknown> {
  if (push.failure !== undefined) throw push.failure
  if (!push.published) throw awaitBeforeCommit(push)
  const { job, id } = push
  const plan = planWait(push)
  const deadline = deadlineIn(
    Math.min(options.deadlineMs ?? job.deadlineMs ?? push.defaultMs, plan?.remainingMs ?? Number.POSITIVE_INFINITY),
  )
  const signal = AbortSignal.any([options.signal, plan?.signal].filter(given => given !== undefined))
  const look = reader(push)
  for (let pauseMs = pollMsFirst; ; pauseMs = Math.min(pauseMs * 1.5, pollMsMax)) {
    const end = await within(remainingMs(deadline), look())
    if (end === late) throw timedOut(push)
    if (end !== 'open') return await receive(job, id, { reply: end, withinMs: remainingMs(deadline) + readMsMax })
    if (remainingMs(deadline) === 0) throw timedOut(push)
    await sleep(Math.min(pauseMs, remainingMs(deadline)), undefined, { signal }).catch(() => {
      throw aborted(push, signal.reason)
    })
  }
}

/** Reads the job's record, time and again. One that is not there has gone, unless the outbox still has to send it. */
function reader(push: Push): () => Promise<'open' | Reply> {
  const { caller, job, id, isKept = false } = push
  const key = caller.keys.bullmq(job.queue, id)
  let wasThere = !isKept
  return async () => {
    const [timestamp, ...fields] = await caller.redis.hmget(key, 'timestamp', ...endFields).catch((cause: unknown) => {
      throw unreadable(push, cause)
    })
    const end = readRecordedEnd(typeof timestamp === 'string', fields)
    if (end !== 'gone') {
      wasThere = true
      return end
    }
    if (wasThere) throw gone(push)
    return 'open'
  }
}

/**
 * Checks that the wait goes deeper. Outside any unit of work nothing is held, so anything may be waited for. Below a push
 * nothing of a push's may be: all pushes share their queue's one lane, and one of them holds a slot of it.
 */
function planWait({ caller, job, level }: Push): OutgoingCall | undefined {
  try {
    const plan = caller.propagator.call(`${job.name} (result)`, { level })
    if (plan.chain[0].kind === 'run' || !caller.propagator.isolated) return plan
    throw dbContextError(
      'LEVEL_ORDER',
      `Result of a push of ${job.name} was awaited below a push, whose slot it may need: use pushAsync`,
      { details: { chain: plan.chain } },
    )
  } catch (error) {
    if (hasCode(error, 'CONTEXT_MISSING')) return undefined
    throw error
  }
}

const details = ({ job, id, level }: Push) => ({ job: job.name, id, level })

const awaitBeforeCommit = (push: Push) =>
  queueError(
    'AWAIT_BEFORE_COMMIT',
    `Result of ${push.job.name} (${push.id}) was awaited before the commit that sends the job, which does not come ` +
      'after a rollback: await it after the transaction, or use pushAsync, which is sent at once',
    { details: details(push) },
  )

const timedOut = (push: Push) =>
  queueError('CALL_TIMEOUT', `Push of ${push.job.name} (${push.id}) had no result in time: it goes on`, {
    details: details(push),
  })

const aborted = (push: Push, cause: unknown) =>
  queueError('CALL_ABORTED', `Wait for ${push.job.name} (${push.id}) was given up by its signal: the job goes on`, {
    details: details(push),
    cause,
  })

const gone = (push: Push) =>
  queueError('RESULT_LOST', `Job ${push.id} of ${push.job.name} has no record any more`, { details: details(push) })

/** The queues were stopped, or Redis refuses to read: of the job it says nothing. */
const unreadable = (push: Push, cause: unknown) =>
  queueError('REDIS_UNREACHABLE', `Record of job ${push.id} of ${push.job.name} could not be read: the job goes on`, {
    outcome: 'unknown',
    details: details(push),
    cause,
  })
