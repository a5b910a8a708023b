import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { spawnNode, startRedisSentinels, until } from '../src/index.ts'
import { checkRedisUrl } from '../src/servers/redis-url.ts'
import { identify, isAlive } from '../src/watchdog/process-identity.ts'
import { cleanEnv, skipWithoutProgram } from './scratch.ts'

const holder = fileURLToPath(new URL('./fixtures/hold-redis-groups.ts', import.meta.url))

test('sentinels move the master when it dies, and clients that ask them find the new one', async context => {
  await using group = await startRedisSentinels({ report: () => {}, env: cleanEnv() }).catch(
    skipWithoutProgram(context),
  )
  const client = new Redis({ sentinels: [...group.sentinels], name: group.name })
  client.on('error', () => {})
  const first = await group.master()
  expect(first).toBe(group.nodes[0])
  await client.set('key', 'kept')
  await client.wait(1, 1000)
  await first.kill()
  const second = await group.master()
  expect(second).toBe(group.nodes[1])
  expect(await client.get('key')).toBe('kept')
  client.disconnect()
})

interface Held {
  readonly pids: number[]
  readonly urls: string[]
}
const isHeld = (message: unknown): message is Held =>
  typeof message === 'object' && message !== null && 'pids' in message

test.runIf(process.platform === 'linux')('no node and no sentinel outlives a parent that is killed', async context => {
  await using _ = await startRedisSentinels({ report: () => {}, sentinels: 1, env: cleanEnv() }).catch(
    skipWithoutProgram(context),
  )
  const parent = await spawnNode(holder, {
    ipc: true,
    env: { ...cleanEnv(), REDIS_URL: undefined, STRATA_REDIS: undefined },
  })
  const { pids, urls } = await parent.nextMessage(isHeld, 50_000)
  const nodes = pids.map(pid => identify(pid) ?? { pid, startTime: 'gone already' })
  expect(nodes.filter(isAlive)).toHaveLength(5)
  parent.kill('SIGKILL')
  await until(() => !nodes.some(isAlive), { deadlineMs: 10_000, message: 'the nodes to end' })
  for (const url of urls) await expect(checkRedisUrl(url)).rejects.toMatchObject({ code: 'SERVERS_URL_UNREACHABLE' })
})
