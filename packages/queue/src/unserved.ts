import type { Redis } from 'ioredis'
import type { Call } from './call.ts'
import { removableKeys, removeFunction } from './cancel.ts'
import { settleScript } from './claim.ts'
import { encodeError } from './encode-error.ts'
import type { Keys } from './keys.ts'
import { repliesMax } from './replier.ts'
import { encodeReply } from './reply.ts'

/**
 * Removes a job that no worker has started, and tells all others that wait for it why. Where there is nothing to remove nothing
 * changes: a claim that is given up with its job still there would let a second job of one id in.
 *
 * KEYS: as `removeFunction`, then the claim. ARGV: as `settleScript`.
 */
const unservedScript = `
${removeFunction}
local function settle(KEYS, ARGV)
${settleScript}
end
if not remove() then return 0 end
if KEYS[7] then settle({KEYS[7]}, ARGV) end
return 1
`

/** True when the job will never start. */
export async function removeUnserved(
  redis: Redis,
  keys: Keys,
  { call, error }: { call: Call; error: unknown },
): Promise<boolean> {
  const all = [...removableKeys(keys, call), ...(call.claimKey === undefined ? [] : [call.claimKey])]
  const reply = encodeReply({ v: 1, ok: false, error: encodeError(error) })
  const args = [call.jobId, call.id, reply, keys.replies(''), repliesMax]
  return (await redis.eval(unservedScript, all.length, ...all, ...args)) === 1
}
