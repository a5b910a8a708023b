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

// Nothing is asked of Redis for a call whose deadline has passed.
const shared = { redis: {} as Redis, keys: createKeys('test'), clock: new RedisClock() }

it.each([
  ['the first time', 1, 'not-applied'],
  ['after an attempt that may have begun the handler', 2, 'unknown'],
])('a call whose deadline has passed, taken %s', async (_what, attemptsStarted, outcome) => {
  const job = { id: 'j', name: 'n', queueName: 'q~1', attemptsStarted } as Job
  await expect(refuseUnawaited(shared, job, envelope)).rejects.toMatchObject({
    refusal: { code: 'CALL_EXPIRED', outcome },
  })
})
