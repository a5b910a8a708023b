import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { settleScript } from './claim.ts'
import type { Keys } from './keys.ts'
import { parseCallLane } from './lane.ts'
import { outside } from './outside.ts'
import { encodeReply, type Reply } from './reply.ts'
import type { Report } from './report.ts'
import { encodeError } from './wire-error.ts'

export interface ReplyAddress {
  readonly replyTo: string
  readonly callId: string
  /** Set where others may wait for the same job. */
  readonly claim?: string
}

/** The longest stream of replies that a caller may leave unread. */
const repliesMax = 10_000

/** Only while the job is there: it must not come back as a record with nothing but an error. */
const keepErrorScript = `if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'strata', ARGV[1]) end`

/**
 * Sends results to the callers' streams. Nothing is awaited: the reply goes out on the connection on which BullMQ then ends
 * the job, so that both are one round trip and the reply is the first. It may therefore come twice, or come for a job that is
 * run again; callers take the first.
 */
export class Replier {
  readonly #redis: Redis
  readonly #keys: Keys
  readonly #report: Report

  constructor(redis: Redis, keys: Keys, report: Report) {
    this.#redis = redis
    this.#keys = keys
    this.#report = report
  }

  succeed(job: Job, address: ReplyAddress, value: unknown): void {
    this.#send(job, address, value === undefined ? { v: 1, ok: true } : { v: 1, ok: true, value })
  }

  /** The error is kept with the job too, whole, for a caller that has to look it up. */
  fail({ job, address, error }: { job: Job; address: ReplyAddress | undefined; error: unknown }): void {
    const wire = encodeError(error)
    if (address) this.#send(job, address, { v: 1, ok: false, error: wire })
    const key = this.#keys.bullmq(job.queueName, job.id ?? '')
    this.#forget(outside(() => this.#redis.eval(keepErrorScript, 1, key, JSON.stringify(wire))))
  }

  #send(job: Job, { replyTo, callId, claim }: ReplyAddress, reply: Reply): void {
    const key = this.#keys.replies(replyTo)
    const text = encodeReply(reply)
    this.#forget(
      outside(() => this.#redis.xadd(key, 'NOMKSTREAM', 'MAXLEN', '~', repliesMax, '*', 'c', callId, 'r', text)),
    )
    if (claim === undefined) return
    const shared = this.#keys.claim(queueOf(job.queueName), claim)
    const args = [job.id ?? '', callId, text, this.#keys.replies(''), repliesMax]
    this.#forget(outside(() => this.#redis.eval(settleScript, 1, shared, ...args)))
  }

  /** A reply that could not be sent is found by the caller in the job's record. */
  #forget(sending: Promise<unknown>): void {
    sending.catch(error => this.#report(error, 'Sending a reply'))
  }
}

const queueOf = (lane: string): string => parseCallLane(lane)?.queue ?? lane
