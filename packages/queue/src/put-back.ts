import { patienceMs } from '@strata/db-context'
import { DelayedError, type Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { putBackField } from './cancel.ts'
import type { RedisClock } from './clock.ts'
import type { Keys } from './keys.ts'

export interface PutBackOptions {
  readonly redis: Redis
  readonly keys: Keys
  readonly clock: RedisClock
}

/** Why a job is put back, and for how long it may be. */
export interface PutBackReason {
  /** Part of the names of the fields that its record counts in. */
  readonly name: string
  readonly pauseMsFirst: number
  readonly pauseMsMax: number
  isOver(put: { readonly times: number; readonly sinceMs: number }): boolean
}

/** Together about 10 s: as long as a worker of the new version may take to be ready in a deploy. */
const putBacksMax = 12

/** No worker here can run it. Counted, not timed: a job that waits in a full lane between two looks has not been refused meanwhile. */
export const notHere: PutBackReason = {
  name: 'NotHere',
  pauseMsFirst: 100,
  pauseMsMax: 1000,
  isOver: ({ times }) => times > putBacksMax,
}

/**
 * Other work holds a document that it needs: for `lockWaitMs` since it was first held up, and a little more by chance, so that of two
 * chains that wait for each other one goes on.
 */
export const heldUp = (lockWaitMs: number): PutBackReason => ({
  name: 'HeldUp',
  pauseMsFirst: 50,
  pauseMsMax: 400,
  isOver: ({ sinceMs }) => sinceMs >= patienceMs(lockWaitMs),
})

/** A push whose message another run handles is put back for so long: no transaction lives as long, and no orphaned one. */
const inProgressMsMax = 300_000

/**
 * Another run handles the same message, for as long as that takes: until the deadline of a call, after which it is not started
 * again, and for five minutes of a push.
 */
export const inProgress = (kind: 'call' | 'push'): PutBackReason => ({
  name: 'InProgress',
  pauseMsFirst: 50,
  pauseMsMax: 1000,
  isOver: ({ sinceMs }) => kind === 'push' && sinceMs >= inProgressMsMax,
})

/** The start that was counted last: a count whose answer was lost is sent again, and must not count twice. */
const putBackAtField = 'strataBackAt'

/**
 * Only while the job is there: it must not come back as a record with nothing but a count. A job that has been put back for long
 * enough begins anew: it may have another attempt.
 *
 * KEYS: job. ARGV: the fields of all put-backs, of the start counted last, of those for this reason, and of when they began; the start; now.
 */
const countScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return {'0', ARGV[6]} end
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[5] then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[5])
  redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
  redis.call('HINCRBY', KEYS[1], ARGV[3], 1)
end
redis.call('HSETNX', KEYS[1], ARGV[4], ARGV[6])
return {redis.call('HGET', KEYS[1], ARGV[3]) or '0', redis.call('HGET', KEYS[1], ARGV[4])}
`

/**
 * Leaves a job that has done nothing yet for another time, or another worker: at the tail of its lane, after a pause, with its slot
 * free meanwhile. It counts as no attempt, and its caller can still remove it.
 *
 * @returns what BullMQ is to be told, or undefined when it was put back too often
 */
export async function putBack(
  { redis, keys, clock }: PutBackOptions,
  { job, token, forMs = 0 }: { readonly job: Job; readonly token: string | undefined; readonly forMs?: number },
  reason: PutBackReason,
): Promise<DelayedError | undefined> {
  const { name, pauseMsFirst, pauseMsMax } = reason
  const key = keys.bullmq(job.queueName, job.id ?? '')
  const [countField, sinceField] = [`${putBackField}${name}`, `${putBackField}${name}Since`]
  const now = clock.now()
  const since = Math.floor(now - forMs)
  const fields = [putBackField, putBackAtField, countField, sinceField]
  const found = await redis.eval(countScript, 1, key, ...fields, job.attemptsStarted, since)
  const [times, first] = (found as string[]).map(Number)
  const put = { times: times ?? 0, sinceMs: now - (first ?? now) }
  if (reason.isOver(put)) {
    await redis.hdel(key, countField, sinceField)
    return undefined
  }
  // Spread, so that jobs put back together do not come back together.
  const pauseMs = Math.min(pauseMsFirst * 2 ** (put.times - 1), pauseMsMax) * (0.5 + Math.random())
  await job.moveToDelayed(Date.now() + Math.round(pauseMs), token)
  return new DelayedError()
}
