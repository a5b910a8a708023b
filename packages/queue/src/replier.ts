import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { settleScript } from './claim.ts'
import { encodeError } from './encode-error.ts'
import type { Keys } from './keys.ts'
import { parseCallLane } from './lane.ts'
import { outside } from './outside.ts'
import { encodeReply, type Reply } from './reply.ts'
import type { Report } from './report.ts'
import type { WireError } from './wire-error.ts'

export interface ReplyAddress {
  readonly replyTo: string
  readonly callId: string
  /** Set where others may wait for the same job. */
  readonly claim?: string
}

/** The longest stream of replies that a caller may leave unread. */
export const repliesMax = 10_000

/**
 * Tells that a job has failed: keeps the error with the job, whole, for a caller that has to look it up, and sends it. Only while
 * the lock is this run's: one that lost it (its process was stopped, its connection hung) is run again elsewhere and may yet
 * succeed there, so its own failure is nobody's end. A job that is not there any more must not come back as a record with nothing
 * but an error, and is run by nobody else.
 *
 * KEYS: job, its lock, then where there is a caller its stream, and the claim. ARGV: error, token, then as `settleScript`.
 */
const failScript = `
local function settle(KEYS, ARGV)
${settleScript}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
  redis.call('HSET', KEYS[1], 'strata', ARGV[1])
end
if KEYS[3] then redis.call('XADD', KEYS[3], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[7], '*', 'c', ARGV[4], 'r', ARGV[5]) end
if KEYS[4] then settle({KEYS[4]}, {ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]}) end
return 1
`

/** A run of a job that has failed. */
export interface FailedRun {
  readonly job: Job
  readonly token: string | undefined
  readonly address: ReplyAddress | undefined
  readonly error: unknown
  /** True where an earlier run may have done a part: then "not applied", which this run says of itself, does not hold for the job. */
  readonly mayHaveRun: boolean
}

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

  /** Nothing where the run has lost its job to another: see `failScript`. */
  fail({ job, token, address, error, mayHaveRun }: FailedRun): void {
    const own = encodeError(error)
    const wire: WireError = mayHaveRun && own.outcome === 'not-applied' ? { ...own, outcome: 'unknown' } : own
    const key = this.#keys.bullmq(job.queueName, job.id ?? '')
    const told = address ? [this.#keys.replies(address.replyTo)] : []
    const shared = address?.claim === undefined ? [] : [this.#claimOf(job, address.claim)]
    const all = [key, `${key}:lock`, ...told, ...shared]
    const callId = address?.callId ?? ''
    const reply = this.#settleArgs(job, callId, encodeReply({ v: 1, ok: false, error: wire }))
    const args = [JSON.stringify(wire), token ?? '', ...reply]
    this.#forget(outside(() => this.#redis.eval(failScript, all.length, ...all, ...args)))
  }

  #send(job: Job, { replyTo, callId, claim }: ReplyAddress, reply: Reply): void {
    const key = this.#keys.replies(replyTo)
    const text = encodeReply(reply)
    this.#forget(
      outside(() => this.#redis.xadd(key, 'NOMKSTREAM', 'MAXLEN', '~', repliesMax, '*', 'c', callId, 'r', text)),
    )
    if (claim === undefined) return
    const shared = this.#claimOf(job, claim)
    const args = this.#settleArgs(job, callId, text)
    this.#forget(outside(() => this.#redis.eval(settleScript, 1, shared, ...args)))
  }

  #claimOf(job: Job, claim: string): string {
    return this.#keys.claim(queueOf(job.queueName), claim)
  }

  #settleArgs(job: Job, callId: string, text: string): (string | number)[] {
    return [job.id ?? '', callId, text, this.#keys.replies(''), repliesMax]
  }

  /** A reply that could not be sent is found by the caller in the job's record. */
  #forget(sending: Promise<unknown>): void {
    sending.catch(error => this.#report(error, 'Sending a reply'))
  }
}

const queueOf = (lane: string): string => parseCallLane(lane)?.queue ?? lane
