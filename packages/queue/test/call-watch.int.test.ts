import type { Job } from 'bullmq'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Call } from '../src/call.ts'
import { CallWatch } from '../src/call-watch.ts'
import { RedisClock } from '../src/clock.ts'
import { defineJob } from '../src/index.ts'
import { createKeys } from '../src/keys.ts'
import { callLane } from '../src/lane.ts'
import { LaneQueues } from '../src/lane-queues.ts'
import { LaneWatch } from '../src/lane-watch.ts'
import { notHere, putBack } from '../src/put-back.ts'
import { useRedis, useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({}), output: z.number() })

const stage = useStage()
const redis = useRedis()

test('a sweep looks at all calls that are due, once, also when another begins meanwhile', async () => {
  const db = stage.db()
  const plan = await db.run(async () => db.propagator.call('work'))
  const calls = Array.from({ length: 1200 }, (_, n) => {
    const options = { id: `${n}`, jobId: `${n}`, job, lane: callLane('work', 1, true), plan, deadlineMs: 60_000 }
    const call = new Call({ ...options, signals: [], keepsReply: false, onGiveUp: () => {}, onSettled: () => {} })
    call.promise.catch(() => {})
    call.lookAt = 0
    return call
  })
  const watch = new CallWatch({
    id: 'own',
    redis,
    keys: createKeys(stage.prefix),
    clock: new RedisClock(),
    calls: () => calls,
    catchUp: async () => {},
    meetServer: async () => {},
    report: () => {},
  })
  await Promise.all([watch.sweep(), watch.sweep()])
  expect(new Set(calls.map(({ looks }) => looks))).toEqual(new Set([1]))
  for (const call of calls) call.fail(new Error('over'))
})

test('workers are told of lanes whose names hold spaces', async () => {
  const keys = createKeys(stage.prefix)
  // In another database the set of lanes is not there: what is found came by message.
  const elsewhere = new Redis(stage.redis, { db: 1 })
  const subscriber = new Redis(stage.redis)
  const { promise: found, resolve } = Promise.withResolvers<string>()
  const report = () => {}
  const tell = ({ name }: { name: string }) => resolve(name)
  const watch = new LaneWatch({ redis: elsewhere, subscriber, keys, found: tell, report })
  await watch.start()
  await new LaneQueues(redis, keys, report).register(callLane('send mail', 2, true))
  expect(await found).toBe('send mail~2')
  watch.stop()
  await Promise.all([elsewhere.quit(), subscriber.quit()])
})

test('a start that was put back counts once, however often its count is sent', async () => {
  const keys = createKeys(stage.prefix)
  const key = keys.bullmq('work~1', 'j')
  await redis.hset(key, { timestamp: 1 })
  const start = (attemptsStarted: number) => {
    const started = { queueName: 'work~1', id: 'j', attemptsStarted, moveToDelayed: async () => {} }
    return putBack(
      { redis, keys, clock: new RedisClock() },
      { job: started as unknown as Job, token: 'token' },
      notHere,
    )
  }
  for (const attempt of [1, 1, 2, 2, 2]) expect(await start(attempt)).toBeDefined()
  expect(await redis.hget(key, 'strataBack')).toBe('2')
})
