import { deadlineIn, remainingMs, StrataError } from '@strata/db-context'
import type { JobsOptions } from 'bullmq'
import { backoffRefused, isKnownBackoff } from './backoff.ts'
import { late, within } from './bound.ts'
import type { Caller } from './caller.ts'
import { packEnvelope } from './envelope.ts'
import { kept } from './kept.ts'
import { pushLane } from './lane.ts'
import type { OutboxMessage } from './outbox.ts'
import { outside } from './outside.ts'
import { queueError } from './registry.ts'
import { sendFailed } from './send.ts'

/** Sends what an outbox has kept. */
export interface Publisher {
  /** Tells of each message why it was not sent, in the same order. One whose error is not transient can never be. */
  publish(messages: readonly OutboxMessage[]): Promise<readonly (Error | undefined)[]>
  /** Tells of each job whether it has ended, completed or failed for good, or is not there any more. */
  ended(messages: readonly Pick<OutboxMessage, 'id' | 'queue'>[]): Promise<readonly boolean[]>
}

const sendMsMax = 10_000

/** Messages of one outbox, one batch at a time. */
export class QueuePublisher implements Publisher {
  readonly #caller: Caller
  /** A batch that Redis has not answered yet: another one behind it would pile up in the client for as long as Redis is away. */
  #open: Promise<unknown> | undefined

  constructor(caller: Caller) {
    this.#caller = caller
  }

  async publish(messages: readonly OutboxMessage[]): Promise<readonly (Error | undefined)[]> {
    const deadline = deadlineIn(sendMsMax)
    while (this.#open !== undefined) {
      if ((await within(remainingMs(deadline), this.#open)) === late) return messages.map(slow)
    }
    const errors = new Map<OutboxMessage, Error>()
    const sending = this.#publish(messages, errors)
    this.#open = sending
      .catch(() => {})
      .finally(() => {
        this.#open = undefined
      })
    const end = await within(sendMsMax, sending)
    return messages.map(message => errors.get(message) ?? (end === late ? slow() : undefined))
  }

  async ended(messages: readonly Pick<OutboxMessage, 'id' | 'queue'>[]): Promise<readonly boolean[]> {
    const { keys, redis } = this.#caller
    await this.#caller.start()
    const records = messages.map(async ({ id, queue }) => {
      const [timestamp, finishedOn] = await redis.hmget(keys.bullmq(queue, id), 'timestamp', 'finishedOn')
      return typeof timestamp !== 'string' || typeof finishedOn === 'string'
    })
    const found = await within(sendMsMax, Promise.all(records))
    return found === late ? messages.map(() => false) : found
  }

  async #publish(messages: readonly OutboxMessage[], errors: Map<OutboxMessage, Error>): Promise<void> {
    try {
      await this.#caller.start()
    } catch (cause) {
      // Whatever it is, it is no fault of theirs.
      for (const message of messages) errors.set(message, notSent(message, 'the queues could not be started', cause))
      return
    }
    const failed = new Map<string, Error>()
    for (const run of runsOf(messages)) {
      const ofQueue = Map.groupBy(run, ({ queue }) => queue)
      await Promise.all([...ofQueue].map(([queue, mine]) => this.#send(queue, mine, { errors, failed })))
    }
  }

  /**
   * All in one round trip; where that fails, one by one and in order, because BullMQ does not tell which one it was. What comes after
   * one of its key that was not sent is not sent either.
   */
  async #send(queue: string, all: readonly OutboxMessage[], { errors, failed }: Failures): Promise<void> {
    const behind = (message: OutboxMessage) => (message.key === undefined ? undefined : failed.get(message.key))
    const messages = all.filter(message => behind(message) === undefined)
    for (const message of all) {
      const cause = behind(message)
      if (cause) errors.set(message, notSent(message, 'one before it of its key was not sent', cause))
    }
    if (messages.length === 0) return
    try {
      await this.#add(queue, messages)
    } catch (cause) {
      const [message, ...more] = messages
      if (message && more.length === 0) {
        const error = this.#failure(message, cause)
        errors.set(message, error)
        if (message.key !== undefined) failed.set(message.key, error)
      } else for (const one of messages) await this.#send(queue, [one], { errors, failed })
    }
  }

  async #add(queue: string, messages: readonly OutboxMessage[]): Promise<void> {
    const jobs = messages.map(message => ({
      name: message.job,
      data: JSON.parse(message.data),
      opts: optionsOf(message),
    }))
    await outside(() => this.#caller.lanes.queue(queue).addBulk(jobs))
  }

  #failure({ job, id, queue }: OutboxMessage, error: unknown): Error {
    const lane = pushLane(queue, this.#caller.propagator.isolated)
    return asError(sendFailed({ job: { name: job }, id, lane, isSent: true }, error))
  }
}

/** @throws OPTION_REFUSED */
function optionsOf({ job, id, level, options }: OutboxMessage): JobsOptions {
  const own: JobsOptions = JSON.parse(options)
  if (!isKnownBackoff(own.backoff)) throw backoffRefused(job, own.backoff)
  return {
    removeOnComplete: kept,
    removeOnFail: kept,
    ...own,
    jobId: id,
    ...packEnvelope({ v: 1, kind: 'push', level }),
  }
}

interface Failures {
  readonly errors: Map<OutboxMessage, Error>
  /** By key. */
  readonly failed: Map<string, Error>
}

/** Queues are sent to side by side: a run ends where a key goes on in another queue, which has to wait for the one before. */
function runsOf(messages: readonly OutboxMessage[]): OutboxMessage[][] {
  const runs: OutboxMessage[][] = [[]]
  let queues = new Map<string, string>()
  for (const message of messages) {
    const { key, queue } = message
    if (key !== undefined && (queues.get(key) ?? queue) !== queue) {
      runs.push([])
      queues = new Map()
    }
    if (key !== undefined) queues.set(key, queue)
    runs.at(-1)?.push(message)
  }
  return runs
}

const notSent = ({ job, id }: OutboxMessage, why: string, cause: unknown): Error =>
  queueError('SEND_FAILED', `Job ${job} (${id}) was not sent: ${why}`, {
    outcome: 'not-applied',
    transient: true,
    details: { job, id },
    cause,
  })

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new StrataError('SEND_FAILED', String(error))

const slow = () =>
  queueError('REDIS_TIMEOUT', `Redis did not take what was to be published within ${sendMsMax} ms: it is tried again`)
