import { Cluster } from 'ioredis'
import { expect, test } from 'vitest'
import { startRedisCluster } from '../src/index.ts'
import { cleanEnv, reportLines, skipWithoutProgram } from './scratch.ts'

const key = '{tag}:key'

test('three masters and three replicas keep what is confirmed through a failover, a crash and a return', async context => {
  const { lines, report } = reportLines()
  await using cluster = await startRedisCluster({ report, env: cleanEnv() }).catch(skipWithoutProgram(context))
  expect(lines).toHaveLength(1)
  expect(cluster.nodes).toHaveLength(6)
  const client = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })))
  const first = await cluster.masterOf(key)
  expect(cluster.nodes.slice(0, 3)).toContain(first)
  await client.set(key, 'kept')
  await client.wait(1, 1000)

  const second = await cluster.failover(first)
  expect(cluster.nodes.slice(3)).toContain(second)
  expect(await cluster.masterOf(key)).toBe(second)
  expect(await client.get(key)).toBe('kept')

  await second.kill()
  expect(await cluster.masterOf(key)).toBe(first)
  expect(await client.get(key)).toBe('kept')

  await second.restart()
  expect(await cluster.failover(first)).toBe(second)
  expect(await client.get(key)).toBe('kept')
  client.disconnect()
})

test('a rung that gives no program is refused for a cluster', async () => {
  const env = cleanEnv({ STRATA_REDIS: 'container' })
  await expect(startRedisCluster({ env, report: () => {} })).rejects.toMatchObject({
    code: 'SERVERS_RUNG_UNKNOWN',
    message: expect.stringMatching(/allowed are url, path, kept, wheel$/),
  })
})
