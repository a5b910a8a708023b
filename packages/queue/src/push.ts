import type { JobsOptions } from 'bullmq'
import { type Caller, stopped } from './caller.ts'
import { checkJob } from './job-check.ts'
import type { JobDefinition } from './job-definition.ts'
import { newJobId } from './job-id.ts'
import { pushLane } from './lane.ts'
import type { OutboxMessage } from './outbox.ts'
import { type Push, type Pushed, pushed } from './pushed.ts'
import { queueError } from './registry.ts'
import { addInTime, checkInput } from './send.ts'

/** All of BullMQ's job options, and the level. */
export interface PushOptions extends JobsOptions {
  /** The level the job runs at, from 1; default 1, whatever the current one: a push starts a fresh chain. */
  readonly dbInfo?: { readonly level?: number }
  /**
   * Pushes of one key are sent in the order in which their transactions commit, whatever their jobs: 1 to 512 characters. Of two that end
   * at the same moment and write nothing in common, in either order. Only inside a transaction and with an outbox, else OPTION_REFUSED.
   */
  readonly key?: string
  /**
   * With a key: sent only once the job before it of that key has ended, completed or failed for good. Transactions of one key that
   * overlap and push so conflict, and one of them runs again.
   */
  readonly ordered?: boolean
}

/** Sends a job that nobody has to wait for; see `Queues.push`. */
export async function push(
  caller: Caller,
  sending: { readonly job: JobDefinition; readonly data: unknown; readonly defaultMs: number },
  { dbInfo, key, ordered, ...bullmq }: PushOptions,
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
  const { outbox } = caller
  if ((key !== undefined || ordered !== undefined) && !(plan.defer && outbox)) throw orderRefused(job)
  if (!plan.defer) return pushed({ ...made, id: await publish(id), published: true })
  checkJob(caller.lanes.queue(lane.name), { name: job.name, data, options: { ...bullmq, jobId: id } })
  if (outbox) {
    const kept: Push = { ...made, id, published: false, isKept: true }
    const order = { ...(key !== undefined && { key }), ...(ordered !== undefined && { ordered }) }
    outbox.append({ ...messageOf(kept, data, bullmq), ...order })
    const publish = async () => {
      kept.published = true
    }
    plan.defer({ job: job.name, id, isKept: true, publish })
    return pushed(kept)
  }
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

function messageOf({ job, id, level }: Push, data: unknown, { jobId: _, ...given }: JobsOptions): OutboxMessage {
  const { attempts, backoff } = job
  const options = { ...(attempts !== undefined && { attempts }), ...(backoff !== undefined && { backoff }), ...given }
  // BullMQ's own stand-in for a job without data.
  const text = JSON.stringify(data ?? {})
  return { id, job: job.name, queue: job.queue, level, data: text, options: JSON.stringify(options) }
}

const orderRefused = (job: JobDefinition) =>
  queueError(
    'OPTION_REFUSED',
    `Options key and ordered of a push of ${job.name} need a transaction around it, and an outbox: only those have an order`,
    { outcome: 'not-applied', details: { job: job.name, option: 'key' } },
  )
