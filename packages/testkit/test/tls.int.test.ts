import { Redis } from 'ioredis'
import { expect, inject, test } from 'vitest'
import { startTlsProxy } from '../src/index.ts'

/** The answer to a ping over TLS, or why there is no connection. */
async function ping(url: string, ca: string): Promise<string> {
  const redis = new Redis(url, { tls: { ca }, lazyConnect: true, retryStrategy: () => null })
  const failed = new Promise<string>(resolve => redis.once('error', error => resolve(error.message)))
  try {
    return await redis.connect().then(
      () => redis.ping(),
      () => failed,
    )
  } finally {
    redis.disconnect()
  }
}

test('a Redis without TLS is reached by it, and only by who trusts its certificate', async () => {
  await using proxy = await startTlsProxy(inject('redisUrl'))
  await using other = await startTlsProxy(inject('redisUrl'))
  expect(proxy.url).toMatch(/^rediss:\/\/127\.0\.0\.1:/)
  expect(await ping(proxy.url, proxy.certificate)).toBe('PONG')
  expect(await ping(proxy.url, other.certificate)).toMatch(/self-signed certificate/)
})
