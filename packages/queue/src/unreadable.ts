import type { StrataError } from '@strata/db-context'
import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { kept } from './kept.ts'
import { queueError } from './registry.ts'

const faults = new WeakMap<Job, StrataError>()

/** Marks a job whose record cannot be read: it is to be refused in the ordinary way, and ends there. */
export function markUnreadable(job: Job, fault: StrataError): Job {
  faults.set(job, fault)
  return job
}

/** Why the record of a job cannot be read; undefined for one that can. */
export const unreadable = (job: Job): StrataError | undefined => faults.get(job)

export function recordInvalid(lane: string, id: string, fault: string): StrataError {
  return queueError('ENVELOPE_INVALID', `Record of job ${id} in lane ${lane} cannot be used: ${fault}`, {
    details: { lane, id, fault },
  })
}

/** Why a record was repaired: it stays refused, also where its run loses its lock, or somebody retries it by hand. */
export const faultField = 'strataFault'

/**
 * Puts what BullMQ's scripts and tools parse into a state they can, field by field: a job that they cannot parse could not be ended,
 * nor the failed jobs of its queue be listed. Input that is far too large goes too, or each who takes the job would read it again. What
 * was there is kept with the job, cut. Only while the job is there: it must not come back as a record with nothing else.
 *
 * KEYS: job. ARGV: the fault, bytes of input at most, options instead of those that cannot be read.
 */
const repairScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], '${faultField}', ARGV[1])
for field, instead in pairs({data = '{}', opts = ARGV[3], parent = '', progress = '0'}) do
  local found = redis.call('HGET', KEYS[1], field)
  local ok, value = not found or #found <= tonumber(ARGV[2]), nil
  if ok then ok, value = pcall(cjson.decode, found or '{}') end
  if not ok or ((field == 'opts' or field == 'parent') and type(value) ~= 'table') then
    redis.call('HSET', KEYS[1], 'strataWas:' .. field, string.sub(found, 1, 1000), field, instead)
    if field == 'parent' then redis.call('HDEL', KEYS[1], 'parent', 'parentKey') end
  end
end
return 1
`

/** Input up to this is kept, although it is too large for this worker: its limit may be wrong, and the job be wanted. */
const keptBytes = 16_777_216

/** Does nothing to a job that is only somewhat too large: it can be retried by hand under another limit. */
export async function repairRecord(
  redis: Redis,
  key: string,
  { fault, bytesMax }: { fault: StrataError; bytesMax: number },
): Promise<void> {
  const most = Math.max(bytesMax, keptBytes)
  if (fault.code === 'PAYLOAD_TOO_LARGE' && Number(fault.details['bytes']) <= most) return
  await redis.eval(repairScript, 1, key, fault.message, most, JSON.stringify({ removeOnFail: kept }))
}
