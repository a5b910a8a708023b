import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { RedisClock } from './clock.ts'
import type { CallEnvelope } from './envelope.ts'
import { createKeys } from './keys.ts'
import { refuseUnawaited } from './startable.ts'

const envelope: CallEnvelope = {
  v: 1,
  kind: 'call',
  level: 1,
  chain: [],
  sent: 0,
  deadline: 0,
  replyTo: '00000000-0000-0000-0000-000000000000',
  callId: 'c',
}

/** A record that says how often the job was put back. */
const sharedWith = (putBacks: string | null) => ({
  redis: { hget: async () => putBacks } as unknown as Redis,
  keys: createKeys('test'),
  clock: new RedisClock(),
})

it.each([
  ['the first time', 1, null, 'not-applied'],
  ['after an attempt that may have begun the handler', 2, null, 'unknown'],
  ['after it was put back', 2, '1', 'not-applied'],
])('a call whose deadline has passed, taken %s', async (_what, attemptsStarted, putBacks, outcome) => {
  const job = { id: 'j', name: 'n', queueName: 'q~1', attemptsStarted } as Job
  await expect(refuseUnawaited(sharedWith(putBacks), job, envelope)).rejects.toMatchObject({
    refusal: { code: 'CALL_EXPIRED', outcome },
  })
})
