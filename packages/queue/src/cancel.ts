import type { Redis } from 'ioredis'
import type { Call } from './call.ts'
import type { Keys } from './keys.ts'
import { endFields, type RecordedEnd, readRecordedEnd } from './reply.ts'

/** Fields of a job's hash: how many of its starts ended before its handler began, and that its caller gave it up. */
export const putBackField = 'strataBack'
export const givenUpField = 'strataGivenUp'

/** Workers read the stream of given-up calls twice a second: what is older concerns nobody. */
const cancelledMax = 10_000
const cancelledTtlMs = 600_000

/** Removes the job if no worker has started it. KEYS: its record, the lists it may be in, the lane's events. ARGV: its id. */
export const removeFunction = `
local function remove()
  local starts = redis.call('HMGET', KEYS[1], 'ats', '${putBackField}')
  if tonumber(starts[1] or '0') > tonumber(starts[2] or '0') then return false end
  local removed = redis.call('LREM', KEYS[2], 1, ARGV[1]) + redis.call('LREM', KEYS[3], 1, ARGV[1])
    + redis.call('ZREM', KEYS[4], ARGV[1]) + redis.call('ZREM', KEYS[5], ARGV[1])
  if removed == 0 then return false end
  redis.call('DEL', KEYS[1], KEYS[1] .. ':logs')
  redis.call('XADD', KEYS[6], '*', 'event', 'removed', 'jobId', ARGV[1], 'prev', 'waiting')
  return true
end
`

/** The keys of `removeFunction`. */
export function removableKeys(keys: Keys, { lane, jobId }: Pick<Call, 'lane' | 'jobId'>): string[] {
  const parts = [jobId, 'wait', 'paused', 'prioritized', 'delayed', 'events']
  return parts.map(part => keys.bullmq(lane.name, part))
}

/**
 * Removes a job that no worker has started, or tells how far it got: in one script, because a worker may take the job
 * between a look and a removal, and "not applied" must never be wrong. BullMQ's own `remove` cannot be used: it removes a
 * completed job as gladly as a waiting one.
 */
const cancelScript = `
${removeFunction}
if KEYS[8] then
  redis.call('HDEL', KEYS[8], 'w:' .. ARGV[3])
  for _, field in ipairs(redis.call('HKEYS', KEYS[8])) do
    if string.sub(field, 1, 2) == 'w:' then
      return {'shared', unpack(redis.call('HMGET', KEYS[1], ${endFields.map(field => `'${field}'`).join(', ')}))}
    end
  end
  redis.call('DEL', KEYS[8])
end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end
if remove() then return {'removed'} end
if ARGV[2] ~= '' and redis.call('HEXISTS', KEYS[1], 'finishedOn') == 0 then
  redis.call('HSET', KEYS[1], '${givenUpField}', '1')
  redis.call('XADD', KEYS[7], 'MAXLEN', '~', ${cancelledMax}, '*', 'c', ARGV[2], 'l', ARGV[4], 'j', ARGV[1])
  redis.call('PEXPIRE', KEYS[7], ${cancelledTtlMs})
end
return {'started', unpack(redis.call('HMGET', KEYS[1], ${endFields.map(field => `'${field}'`).join(', ')}))}
`

/**
 * With `abort` (and where no other call waits for the same job) the worker that runs the job is told, and aborts its signal within a second.
 *
 * @returns `removed` when the job will never start, otherwise what its record says
 */
export async function cancelJob(
  redis: Redis,
  keys: Keys,
  { call, abort }: { call: Call; abort: boolean },
): Promise<'removed' | RecordedEnd> {
  const args = [call.jobId, abort ? call.id : '', call.id, call.lane.name]
  const shared = call.claimKey === undefined ? [] : [call.claimKey]
  const all = [...removableKeys(keys, call), keys.cancelled, ...shared]
  const answer = await redis.eval(cancelScript, all.length, ...all, ...args)
  const [state, ...fields] = answer as [string, ...(string | null)[]]
  return state === 'removed' ? 'removed' : readRecordedEnd(state !== 'gone', fields)
}

/** How a job stands: its end, if it has one, and whether a worker ever took it. */
export interface Look {
  readonly end: RecordedEnd
  readonly isTaken: boolean
}

/** How each of these calls' jobs stands, in one round trip. */
export async function lookUp(redis: Redis, keys: Keys, calls: readonly Call[]): Promise<Look[]> {
  const pipeline = redis.pipeline()
  for (const { lane, jobId } of calls) pipeline.hmget(keys.bullmq(lane.name, jobId), 'timestamp', 'ats', ...endFields)
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, found]) => {
    if (error) return { end: 'open', isTaken: true }
    const [timestamp, starts, ...fields] = found as (string | null)[]
    return { end: readRecordedEnd(typeof timestamp === 'string', fields), isTaken: typeof starts === 'string' }
  })
}
