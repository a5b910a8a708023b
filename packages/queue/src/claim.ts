import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Call } from './call.ts'
import type { Keys } from './keys.ts'
import { callLane, type Lane, pushLane } from './lane.ts'
import { queueError } from './registry.ts'
import { endFields, type RecordedEnd, readRecordedEnd } from './reply.ts'

/**
 * Finds the job that a call with a chosen id belongs to, or claims the id for a new one: in one script, because BullMQ knows an
 * id only within one lane. A claim tells who waits and where the job runs; it lives as long as somebody can wait.
 *
 * | the id's job          | the call                                                           |
 * |-----------------------|--------------------------------------------------------------------|
 * | none                  | is the first                                                       |
 * | failed                | is the first; the old record is removed, its error is not this call's |
 * | completed             | gets its result (a chosen job id only; a deduplication id is free again) |
 * | waits or runs, deep enough | waits with those that wait                                    |
 * | waits or runs, not deep enough, or is a push | DUPLICATE_CALL                              |
 * | is another job, or has another input, and the call says what they are | RETRY_DIVERGED        |
 *
 * KEYS: claim, then the records that a job of this id may have: of pushes, of calls at level 1 and deeper.
 * ARGV: job id, level, lane, call id, process, milliseconds, 'levels' or 'none', record key, hash of
 * name and input or '', then lanes as the keys.
 */
const claimScript = `
local claim, least = KEYS[1], tonumber(ARGV[2])
local function join(job, lane, level)
  redis.call('HSET', claim, 'w:' .. ARGV[4], ARGV[5])
  redis.call('PEXPIRE', claim, math.max(redis.call('PTTL', claim), tonumber(ARGV[6])))
  return {'joined', job, lane, level}
end
local function start(job, lane, level, key)
  redis.call('HSET', claim, 'job', job, 'lane', lane, 'level', level, 'key', key)
  local joined = join(job, lane, level)
  joined[1] = 'new'
  return joined
end
-- One that no caller of ours can have written is no claim, or its id could never be used again.
local function isOurs(held)
  local level, key, job = tonumber(held[3] or ''), held[4], held[1]
  if not (job and held[2] and key and level and level >= 0 and level % 1 == 0) then return false end
  if #key > 1024 or string.sub(key, -#job - 1) ~= ':' .. job then return false end
  local kind = redis.call('TYPE', key).ok
  return kind == 'hash' or kind == 'none'
end
local function differs(key)
  local found = ARGV[9] ~= '' and redis.call('HMGET', key, 'name', 'data') or {}
  return found[2] and redis.sha1hex((found[1] or '') .. ' ' .. found[2]) ~= ARGV[9]
end
local held = redis.call('TYPE', claim).ok == 'hash' and redis.call('HMGET', claim, 'job', 'lane', 'level', 'key') or {}
if isOurs(held) and redis.call('HEXISTS', held[4], 'finishedOn') == 0 then
  if differs(held[4]) then return {'diverged', held[1], held[2], held[3]} end
  if ARGV[7] == 'levels' and tonumber(held[3]) < least then return {'refused', held[1], held[2], held[3]} end
  return join(held[1], held[2], held[3])
end
redis.call('DEL', claim)
for i = 2, #KEYS do
  local key, lane = KEYS[i], ARGV[8 + i]
  local found = redis.call('HMGET', key, 'timestamp', 'finishedOn', 'returnvalue')
  if found[1] and differs(key) then return {'diverged', ARGV[1], lane, tostring(i - 2)} end
  if found[1] and found[2] and found[3] then
    return {'ended', ARGV[1], lane, tostring(i - 2), unpack(redis.call('HMGET', key, ${endFields.map(field => `'${field}'`).join(', ')}))}
  elseif found[1] and found[2] then
    local base = string.sub(key, 1, -(#ARGV[1] + 1))
    redis.call('DEL', key, key .. ':logs')
    redis.call('ZREM', base .. 'failed', ARGV[1])
  elseif found[1] then
    local level = i - 2
    if ARGV[7] == 'levels' and level < least then return {'refused', ARGV[1], lane, tostring(level)} end
    local joined = start(ARGV[1], lane, tostring(level), key)
    joined[1] = 'joined'
    return joined
  end
end
return start(ARGV[1], ARGV[3], ARGV[2], ARGV[8])
`

/** Sends a reply to all others that wait for the job, and ends the claim. Only to addresses that can be a process of ours. */
export const settleScript = `
if redis.call('HGET', KEYS[1], 'job') ~= ARGV[1] then return 0 end
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local id, process = string.match(fields[i], '^w:(.+)$'), fields[i + 1]
  if id and id ~= ARGV[2] and #process == 36 and string.match(process, '^[%x-]+$') then
    redis.call('XADD', ARGV[4] .. process, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[5], '*', 'c', id, 'r', ARGV[3])
  end
end
return redis.call('DEL', KEYS[1])
`

/** What a call with a chosen id waits for. */
export interface Claimed {
  /** `new` where the call has to add the job. */
  readonly state: 'new' | 'joined' | 'ended'
  readonly end: RecordedEnd
}

/** Claims outlive their calls by this, so that whoever waits longest still finds it. */
const claimRestMs = 5000

export interface Claim {
  readonly name: string
  /** Of what the call would send; undefined where it may be joined with other input. */
  readonly contentHash: string | undefined
}

/** Points the call at the job that it waits for. @throws DUPLICATE_CALL, RETRY_DIVERGED */
export async function claimJob(
  { redis, keys, id: process }: { readonly redis: Redis; readonly keys: Keys; readonly id: string },
  call: Call,
  { name: claim, contentHash = '', levelsMax, isolated }: Claim & { levelsMax: number; isolated: boolean },
): Promise<Claimed> {
  const { queue } = call.job
  const lanes = isByJobId(claim) ? lanesOf(queue, levelsMax, isolated) : []
  const records = lanes.map(lane => keys.bullmq(lane.name, call.jobId))
  const lifeMs = Math.ceil(call.remainingMs) + claimRestMs
  const { jobId, id, lane } = call
  const who = [jobId, call.plan.level, lane.name, id, process, lifeMs]
  const where = [
    isolated ? 'levels' : 'none',
    keys.bullmq(lane.name, jobId),
    contentHash,
    ...lanes.map(({ name }) => name),
  ]
  const args = [...who, ...where]
  const key = keys.claim(queue, claim)
  const answer = await redis.eval(claimScript, 1 + records.length, key, ...records, ...args)
  const [state, job, at, level, ...fields] = answer as [string, string, string, string, ...(string | null)[]]
  if (state === 'diverged') throw diverged(call, { job, lane: at, level: Number(level) })
  if (state === 'refused') throw duplicate(call, { job, lane: at, level: Number(level) })
  call.jobId = job
  call.lane = Number(level) === 0 ? pushLane(queue, isolated) : callLane(queue, Number(level), isolated)
  if (state === 'ended') return { state, end: readRecordedEnd(true, fields) }
  call.claimKey = key
  return { state: state === 'new' ? 'new' : 'joined', end: 'open' }
}

/** What {@link claimScript} makes of a record: BullMQ keeps an empty object for no data. */
export const contentHash = (job: string, data: unknown): string =>
  createHash('sha1')
    .update(`${job} ${JSON.stringify(data === undefined ? {} : data)}`)
    .digest('hex')

export const jobIdClaim = (jobId: string) => `j:${jobId}`
export const deduplicationClaim = (id: string) => `d:${id}`
const isByJobId = (claim: string) => claim.startsWith('j:')

function lanesOf(queue: string, levelsMax: number, isolated: boolean): Lane[] {
  const calls = Array.from({ length: isolated ? levelsMax : 0 }, (_, index) => callLane(queue, index + 1, isolated))
  return [pushLane(queue, isolated), ...calls]
}

function duplicate(call: Call, first: { job: string; lane: string; level: number }) {
  const { name } = call.job
  const where = first.level === 0 ? 'as a push' : `at level ${first.level}`
  const message =
    `Call of ${name} at level ${call.plan.level} has the id of a job that waits or runs ${where} (${first.job}): ` +
    'waiting for it would not go deeper. Choose another id'
  return queueError('DUPLICATE_CALL', message, { details: { ...call.describe(), since: undefined, first } })
}

/** Its transaction was begun by another process before, under the same id. */
function diverged(call: Call, first: { job: string; lane: string; level: number }) {
  const { name } = call.job
  const message =
    `Call of ${name} (${call.jobId}) found a job of its id with another name or input, which another run of its transaction has ` +
    'sent: let the body make the same calls in each run, from what does not change'
  return queueError('RETRY_DIVERGED', message, { details: { ...call.describe(), since: undefined, first } })
}
