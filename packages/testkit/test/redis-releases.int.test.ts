import { expect, test } from 'vitest'
import { redisReleases, startRedis } from '../src/index.ts'
import { cleanEnv, skipWithoutProgram, withRedis } from './scratch.ts'

// Each of them is started by the queue's own test of versions.
test('a release is started where it is asked for, whatever else is to be had', async context => {
  expect(redisReleases).toContain('redis 6.2.5')
  const env = cleanEnv({ REDIS_URL: 'redis://127.0.0.1:1', STRATA_REDIS: 'path' })
  const starting = startRedis({ release: 'redis 6.2.5', env, report: () => {} })
  await using redis = await starting.catch(skipWithoutProgram(context))
  expect(redis.version).toBe('6.2.5')
  expect(await withRedis(redis.url, client => client.ping())).toBe('PONG')
})
