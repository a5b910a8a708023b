import type { Redis } from 'ioredis'
import type { Call } from './call.ts'
import type { Keys } from './keys.ts'
import { endFields, type RecordedEnd, readRecordedEnd } from './reply.ts'

/**
 * Removes a job that no worker has started, or tells how far it got: in one script, because a worker may take the job
 * between a look and a removal, and "not applied" must never be wrong. BullMQ's own `remove` cannot be used: it removes a
 * completed job as gladly as a waiting one.
 */
const cancelScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end
local started = tonumber(redis.call('HGET', KEYS[1], 'ats') or '0')
if started == 0 then
  local removed = redis.call('LREM', KEYS[2], 1, ARGV[1]) + redis.call('LREM', KEYS[3], 1, ARGV[1])
    + redis.call('ZREM', KEYS[4], ARGV[1]) + redis.call('ZREM', KEYS[5], ARGV[1])
  if removed > 0 then
    redis.call('DEL', KEYS[1], KEYS[1] .. ':logs')
    redis.call('XADD', KEYS[6], '*', 'event', 'removed', 'jobId', ARGV[1], 'prev', 'waiting')
    return {'removed'}
  end
end
return {'started', unpack(redis.call('HMGET', KEYS[1], ${endFields.map(field => `'${field}'`).join(', ')}))}
`

/** @returns `removed` when the job will never start, otherwise what its record says */
export async function cancelJob(redis: Redis, keys: Keys, call: Call): Promise<'removed' | RecordedEnd> {
  const at = (part: string) => keys.bullmq(call.lane.name, part)
  const lists = [at('wait'), at('paused'), at('prioritized'), at('delayed'), at('events')]
  const answer = await redis.eval(cancelScript, 6, at(call.jobId), ...lists, call.jobId)
  const [state, ...fields] = answer as [string, ...(string | null)[]]
  return state === 'removed' ? 'removed' : readRecordedEnd(state !== 'gone', fields)
}

/** How each of these calls' jobs stands, in one round trip. */
export async function lookUp(redis: Redis, keys: Keys, calls: readonly Call[]): Promise<RecordedEnd[]> {
  const pipeline = redis.pipeline()
  for (const { lane, jobId } of calls) pipeline.hmget(keys.bullmq(lane.name, jobId), 'timestamp', ...endFields)
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, found]) => {
    if (error) return 'open'
    const [timestamp, ...fields] = found as (string | null)[]
    return readRecordedEnd(typeof timestamp === 'string', fields)
  })
}
