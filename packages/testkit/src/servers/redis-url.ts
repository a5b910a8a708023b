import { Redis } from 'ioredis'
import { TestkitError } from '../errors.ts'
import { withoutPassword } from './password.ts'

/** What is wrong with the form of a URL. ioredis itself takes nearly any text, as the path of a socket. */
export function faultOfRedisUrl(url: string): string | undefined {
  if (!/^rediss?:\/\//.test(url)) return 'it has to begin with redis:// or rediss://'
  return URL.canParse(url) ? undefined : 'host or port are not valid'
}

/** Reaches a given Redis within 5 s and says its version. @throws SERVERS_URL_UNREACHABLE */
export async function checkRedisUrl(url: string): Promise<{ version: string }> {
  const client = new Redis(url, {
    lazyConnect: true,
    // One after the other (connect, AUTH, INFO at worst) they have to end within 5 s.
    connectTimeout: 2000,
    commandTimeout: 1400,
    disconnectTimeout: 100,
    retryStrategy: () => null,
  })
  let reason: unknown
  client.on('error', error => {
    reason = error
  })
  try {
    await client.connect()
    const info = await client.info('server')
    // Valkey also gives the version of Redis that it passes for, and before its own.
    const version = /valkey_version:(\S+)/.exec(info) ?? /redis_version:(\S+)/.exec(info)
    return { version: version?.[1] ?? 'unknown' }
  } catch (error) {
    const said = reason instanceof Error ? reason.message : String(error)
    const text = `REDIS_URL ${withoutPassword(url)} does not answer: ${said}; check that the server runs, the host, port and password are right and no firewall is between`
    throw new TestkitError('SERVERS_URL_UNREACHABLE', text, { cause: error })
  } finally {
    client.disconnect()
  }
}
