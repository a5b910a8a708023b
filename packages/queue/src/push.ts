import { setTimeout as sleep } from 'node:timers/promises'
import { dbContextError, deadlineIn, hasCode, type OutgoingCall, remainingMs } from '@strata/db-context'
import type { JobsOptions } from 'bullmq'
import { late, within } from './bound.ts'
import { type Caller, stopped } from './caller.ts'
import { checkJob } from './job-check.ts'
import type { JobDefinition } from './job-definition.ts'
import { newJobId } from './job-id.ts'
import { pushLane } from './lane.ts'
import { queueError } from './registry.ts'
import { endFields, readRecordedEnd } from './reply.ts'
import { receive } from './result.ts'
import { addInTime, checkInput } from './send.ts'

/** All of BullMQ's job options, and the level. */
export interface PushOptions extends JobsOptions {
  /** The level the job runs at, from 1; default 1, whatever the current one: a push starts a fresh chain. */
  readonly dbInfo?: { readonly level?: number }
}

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
   * @throws AWAIT_BEFORE_COMMIT, LEVEL_ORDER, LEVEL_LIMIT, HOLD_AND_WAIT, CALL_TIMEOUT, CALL_ABORTED, RESULT_LOST, JOB_FAILED,
   * RESULT_INVALID, REDIS_UNREACHABLE (`unknown`)
   */
  result(options?: ResultOptions): Promise<Result>
}

const pollMsFirst = 10
const pollMsMax = 500

/** What a result's schema may take beyond the deadline. */
const readMsMax = 500

interface Push {
  readonly caller: Caller
  readonly job: JobDefinition
  readonly id: string
  readonly level: number
  readonly defaultMs: number
  /** Set when the job has been added, or its adding has failed. */
  published: boolean
  failure?: unknown
}

/** Sends a job that nobody has to wait for; see `Queues.push`. */
export async function push(
  caller: Caller,
  sending: { readonly job: JobDefinition; readonly data: unknown; readonly defaultMs: number },
  { dbInfo, ...bullmq }: PushOptions,
): Promise<Pushed<unknown>> {
  const { job, data, defaultMs } = sending
  if (caller.isStopping) throw stopped()
  const plan = caller.propagator.push(dbInfo?.level === undefined ? {} : { level: dbInfo.level })
  await checkInput(caller, job, data)
  const lane = pushLane(job.queue, caller.propagator.isolated)
  const made = { caller, job, level: plan.level, defaultMs }
  const publish = async (id: string): Promise<string> => {
    await caller.start()
    const envelope = { v: 1, kind: 'push', level: plan.level } as const
    return await addInTime(caller, { job, lane, id, data, envelope, options: bullmq })
  }
  const id = bullmq.jobId ?? newJobId()
  if (!plan.defer) return pushed({ ...made, id: await publish(id), published: true })
  checkJob(caller.lanes.queue(lane.name), { name: job.name, data, options: { ...bullmq, jobId: id } })
  const deferred: Push = { ...made, id, published: false }
  plan.defer({
    job: job.name,
    id,
    publish: async () => {
      try {
        await publish(id)
        deferred.published = true
      } catch (error) {
        deferred.failure = error
        throw error
      }
    },
  })
  return pushed(deferred)
}

function pushed(push: Push): Pushed<unknown> {
  return { id: push.id, result: (options = {}) => result(push, options) }
}

async function result(push: Push, options: ResultOptions): Promise<unknown> {
  const { caller, job, id } = push
  if (push.failure !== undefined) throw push.failure
  if (!push.published) throw awaitBeforeCommit(push)
  const plan = planWait(push)
  const deadline = deadlineIn(
    Math.min(options.deadlineMs ?? job.deadlineMs ?? push.defaultMs, plan?.remainingMs ?? Number.POSITIVE_INFINITY),
  )
  const signal = AbortSignal.any([options.signal, plan?.signal].filter(given => given !== undefined))
  const key = caller.keys.bullmq(job.queue, id)
  for (let pauseMs = pollMsFirst; ; pauseMs = Math.min(pauseMs * 1.5, pollMsMax)) {
    const reading = caller.redis.hmget(key, 'timestamp', ...endFields).catch((cause: unknown) => {
      throw unreadable(push, cause)
    })
    const look = await within(remainingMs(deadline), reading)
    if (look === late) throw timedOut(push)
    const [timestamp, ...fields] = look
    const end = readRecordedEnd(typeof timestamp === 'string', fields)
    if (end === 'gone') throw gone(push)
    if (end !== 'open') return await receive(job, id, { reply: end, withinMs: remainingMs(deadline) + readMsMax })
    if (remainingMs(deadline) === 0) throw timedOut(push)
    await sleep(Math.min(pauseMs, remainingMs(deadline)), undefined, { signal }).catch(() => {
      throw aborted(push, signal.reason)
    })
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
