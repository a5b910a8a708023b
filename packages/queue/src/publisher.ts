import { StrataError } from '@strata/db-context'
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
    if (this.#open !== undefined) return messages.map(() => slow())
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
    } catch (error) {
      for (const message of messages) errors.set(message, asError(error))
      return
    }
    const ofQueue = Map.groupBy(messages, ({ queue }) => queue)
    await Promise.all([...ofQueue].map(([queue, mine]) => this.#send(queue, mine, errors)))
  }

  /** All in one round trip; where that fails, one by one and in order, because BullMQ does not tell which one it was. */
  async #send(queue: string, messages: readonly OutboxMessage[], errors: Map<OutboxMessage, Error>): Promise<void> {
    try {
      await this.#add(queue, messages)
    } catch (error) {
      if (messages.length === 1) return void messages.map(message => errors.set(message, this.#failure(message, error)))
      const failedKeys = new Set<string>()
      for (const message of messages) {
        const isBehind = message.key !== undefined && failedKeys.has(message.key)
        if (isBehind) errors.set(message, slow())
        else await this.#send(queue, [message], errors)
        if (message.key !== undefined && errors.has(message)) failedKeys.add(message.key)
      }
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

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new StrataError('SEND_FAILED', String(error))

const slow = () =>
  queueError('REDIS_TIMEOUT', `Redis did not take what was to be published within ${sendMsMax} ms: it is tried again`)
