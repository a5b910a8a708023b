import { Redis } from 'ioredis'

const ANSWER_MS_MAX = 1000

/**
 * Sends one command on a connection of its own and gives its answer. Rejects within 2 s when the server is gone, hangs or
 * refuses: whoever looks at servers that fail has to hear of it soon, and from that very server.
 */
export async function redisCommand(url: string, command: string, ...args: readonly string[]): Promise<unknown> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: ANSWER_MS_MAX,
    commandTimeout: ANSWER_MS_MAX,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return await client.call(command, ...args)
  } finally {
    client.disconnect()
  }
}
