import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { givenUpField } from './cancel.ts'
import type { RedisClock } from './clock.ts'
import type { CallEnvelope } from './envelope.ts'
import type { Keys } from './keys.ts'
import { parseCallLane } from './lane.ts'
import { isProcessAlive, leaseMs } from './presence.ts'
import { mayHaveRunBefore, Refusal } from './refusal.ts'
import { queueError } from './registry.ts'

/**
 * Refuses a call that nobody waits for any more. An ordinary call costs no look: its caller lived when it was sent, and the lease
 * of a process is longer than most calls wait. Only a call that waited for longer, or runs again, is looked up.
 *
 * @throws CALL_EXPIRED, CALLER_GONE
 */
export async function refuseUnawaited(
  shared: { readonly redis: Redis; readonly keys: Keys; readonly clock: RedisClock },
  job: Job,
  envelope: CallEnvelope,
): Promise<void> {
  const { redis, keys, clock } = shared
  const details = { job: job.name, id: job.id, level: envelope.level }
  if (envelope.deadline <= clock.now()) {
    const outcome = (await mayHaveRunBefore({ redis, keys }, job)) ? 'unknown' : 'not-applied'
    const message = `Call of ${job.name} (${job.id}) was taken after its deadline and not started`
    throw new Refusal(queueError('CALL_EXPIRED', message, { outcome, details }))
  }
  if (job.attemptsStarted > 1 && (await redis.hget(keys.bullmq(job.queueName, job.id ?? ''), givenUpField)) === '1') {
    const message = `Call of ${job.name} (${job.id}) was given up by its caller and not started again`
    throw new Refusal(queueError('CALL_EXPIRED', message, { outcome: 'unknown', details }))
  }
  if (clock.now() - envelope.sent < leaseMs) return
  for (const id of await waitingProcesses(shared, job, envelope)) {
    if (await isProcessAlive(redis, { keys, id, now: clock.now() })) return
  }
  const message = `Call of ${job.name} (${job.id}) was not started: its caller's process has not been heard of for ${leaseMs} ms`
  throw new Refusal(queueError('CALLER_GONE', message, { details: { ...details, process: envelope.replyTo } }))
}

/** Those that wait for a job of a chosen id, as its claim tells; where it does not, whoever sent the job. */
async function waitingProcesses(
  { redis, keys }: { readonly redis: Redis; readonly keys: Keys },
  job: Job,
  { claim, replyTo }: CallEnvelope,
): Promise<Iterable<string>> {
  if (claim === undefined) return [replyTo]
  const key = keys.claim(parseCallLane(job.queueName)?.queue ?? job.queueName, claim)
  // A key of another type is a stranger's.
  const held = await redis.hgetall(key).catch((): Record<string, string> => ({}))
  const waiting = Object.entries(held).filter(([field]) => field.startsWith('w:'))
  return held.job === job.id && waiting.length > 0 ? new Set(waiting.map(([, process]) => process)) : [replyTo]
}
