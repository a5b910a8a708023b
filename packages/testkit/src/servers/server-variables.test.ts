import { expect, test } from 'vitest'
import { mongoKind, redisKind } from './kinds.ts'
import { checkVariables } from './server-variables.ts'

test.each([
  { STRATA_MONGO: 'nonsense' },
  { MONGO_URL: 'foo' },
  { MONGO_URL: 'mongodb://127.0.0.1:port' },
  { MONGO_URL: 'redis://127.0.0.1' },
])('%j is refused before MongoDB is asked for', env => {
  const [[name, value] = []] = Object.entries(env)
  expect(() => checkVariables(mongoKind, env)).toThrow(new RegExp(`^${name} is "${value}"[,;]`))
})

test.each([
  { STRATA_REDIS: 'download' },
  { REDIS_URL: 'foo' },
  { REDIS_URL: '/tmp/redis.sock' },
  { REDIS_URL: 'redis://127.0.0.1:port' },
  { REDIS_URL: 'http://127.0.0.1:6379' },
])('%j is refused before Redis is asked for', env => {
  const [[name, value] = []] = Object.entries(env)
  expect(() => checkVariables(redisKind, env)).toThrow(new RegExp(`^${name} is "${value}"[,;]`))
})

test('what is absent, empty or right is taken', () => {
  expect(checkVariables(mongoKind, {})).toBeUndefined()
  expect(checkVariables(redisKind, { REDIS_URL: '', STRATA_REDIS: '' })).toBeUndefined()
  const MONGO_URL = 'mongodb://user:secret@127.0.0.1:1,127.0.0.1:2/school?replicaSet=rs0'
  expect(checkVariables(mongoKind, { MONGO_URL, STRATA_MONGO: 'download' })).toBe('download')
  expect(checkVariables(redisKind, { REDIS_URL: 'rediss://user:secret@127.0.0.1:6379/2' })).toBeUndefined()
})

test('a password is not told', () => {
  const refused = () => checkVariables(redisKind, { REDIS_URL: 'redis://user:secret@host:port' })
  expect(refused).toThrow(/^(?!.*secret)REDIS_URL is /)
})
