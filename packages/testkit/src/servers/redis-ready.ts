import { Redis } from 'ioredis'
import { until } from '../until.ts'
import { LOOPBACK } from './port.ts'

const START_DEADLINE_MS = 30_000

/**
 * Resolves once the Redis on that port answers, its data loaded.
 * @throws WAIT_TIMEOUT after 30 s; an error at once when `hasExited` says that it has ended.
 */
export async function redisReady(port: number, hasExited: () => boolean): Promise<void> {
  const client = new Redis({
    host: LOOPBACK,
    port,
    lazyConnect: true,
    retryStrategy: () => 50,
    maxRetriesPerRequest: 0,
  })
  client.on('error', () => {})
  client.connect().catch(() => {})
  try {
    const answers = async (): Promise<boolean> => hasExited() || (await client.ping()) === 'PONG'
    await until(answers, { deadlineMs: START_DEADLINE_MS, message: `Redis to answer on port ${port}` })
    if (hasExited()) throw new Error('Redis ended while starting')
  } finally {
    client.disconnect()
  }
}
