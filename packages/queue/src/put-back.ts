import { DelayedError, type Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { putBackField } from './cancel.ts'
import type { Keys } from './keys.ts'

/** Together about 10 s: as long as a worker of the new version may take to be ready in a deploy. */
const putBacksMax = 12
const pauseMsFirst = 100
const pauseMsMax = 1000

/** The start that was counted last: a count whose answer was lost is sent again, and must not count twice. */
const putBackAtField = 'strataBackAt'

/** Only while the job is there: it must not come back as a record with nothing but a count. */
const countScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[1], ARGV[2]) == ARGV[3] then return redis.call('HGET', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
`

/**
 * Leaves a job whose handler did not begin for another worker. It counts as no attempt, and its caller can still remove it.
 *
 * @returns what BullMQ is to be told, or undefined when it was put back too often
 */
export async function putBack(
  { redis, keys }: { readonly redis: Redis; readonly keys: Keys },
  job: Job,
  token: string | undefined,
): Promise<DelayedError | undefined> {
  const key = keys.bullmq(job.queueName, job.id ?? '')
  const times = Number(await redis.eval(countScript, 1, key, putBackField, putBackAtField, job.attemptsStarted))
  if (times > putBacksMax) return undefined
  // Spread, so that jobs put back together do not come back together.
  const pauseMs = Math.min(pauseMsFirst * 2 ** (times - 1), pauseMsMax) * (0.5 + Math.random())
  await job.moveToDelayed(Date.now() + Math.round(pauseMs), token)
  return new DelayedError()
}
