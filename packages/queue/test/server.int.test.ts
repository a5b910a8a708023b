import { type ServerHandle, startRedis } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { checkServer } from '../src/server-check.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

let server: ServerHandle
let admin: Redis
const stage = useStage()

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
})

afterAll(async () => {
  await admin.quit()
  await server.stop()
})

test('a server that may evict jobs is refused, with the setting to mend', async () => {
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
  const db = stage.db()
  const refused = {
    code: 'REDIS_SETTING',
    outcome: 'not-applied',
    details: { setting: 'maxmemory-policy', got: 'allkeys-lru', expected: 'noeviction' },
  }
  const worker = stage.worker(db, { redis: server.url })
  worker.handle(job, async ({ n }) => n)
  await expect(worker.start()).rejects.toMatchObject(refused)
  const queues = stage.queues(db, { redis: server.url })
  await expect(db.run(() => queues.pushAsync(job, { n: 1 }))).rejects.toMatchObject(refused)
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  await queues.start()
})

test('a server that does not tell its settings is used, by user and password, and the assumption is told once', async () => {
  await admin.call('ACL', 'SETUSER', 'tenant', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config')
  const { host } = new URL(server.url)
  const redis = `redis://tenant:secret@${host}`
  const db = stage.db()
  const worker = stage.worker(db, { redis })
  worker.handle(job, async ({ n }) => n + 1)
  await worker.start()
  const queues = stage.queues(db, { redis })
  expect(await db.run(() => queues.pushAsync(job, { n: 1 }))).toBe(2)
  expect(stage.reports.filter(report => report.includes('does not tell its version'))).toHaveLength(1)
  expect(stage.reports.filter(report => report.includes('does not tell maxclients'))).toHaveLength(1)
  expect(stage.reports).toHaveLength(2)
})

test('where CONFIG alone is denied, the budget is checked by what INFO tells', async context => {
  context.skip(Number.parseInt(server.version, 10) < 7, 'INFO tells maxclients from Redis 7 on')
  await admin.call('ACL', 'SETUSER', 'managed', 'on', '>secret', '~*', '&*', '+@all', '-config')
  await admin.config('SET', 'maxclients', 30)
  const worker = stage.worker(stage.db(), { redis: `redis://managed:secret@${new URL(server.url).host}` })
  worker.handle(job, async ({ n }) => n)
  await expect(worker.start()).rejects.toMatchObject({ code: 'CONNECTION_BUDGET', details: { maxclients: 30 } })
  await admin.config('SET', 'maxclients', 10_000)
  expect(stage.reports).toEqual([])
})

test('a wrong password is told as what it is', async () => {
  const { host } = new URL(server.url)
  await admin.call('ACL', 'SETUSER', 'other', 'on', '>secret', '~*', '&*', '+@all')
  const queues = stage.queues(stage.db(), { redis: `redis://other:wrong@${host}` })
  const error = await queues.start().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'REDIS_UNREACHABLE', outcome: 'not-applied' })
  expect((error as Error).message).not.toContain('wrong')
  expect(String((error as Error).cause)).toMatch(/WRONGPASS|NOAUTH/)
})

test('a replica is refused, since it takes no jobs', async context => {
  context.skip(server.members.length === 0, 'the server is no process of ours')
  const { hostname, port } = new URL(server.url)
  await using replica = await startRedis({ redisArgs: ['--replicaof', hostname, port], report: () => {} })
  const details = { setting: 'role', got: 'slave', expected: 'master' }
  await expect(stage.queues(stage.db(), { redis: replica.url }).start()).rejects.toMatchObject({
    code: 'REDIS_SETTING',
    details,
  })
})

test.each([
  ['5.0.14', false],
  ['6.0.20', false],
  ['6.2.0', true],
  ['7.2.4', true],
  ['10.0.0', true],
])('version %s is served: %s', async (version, isServed) => {
  const telling = { info: async () => `redis_version:${version}\r\nmaxmemory_policy:noeviction\r\n` }
  const checking = checkServer(telling as unknown as Redis, version, () => {})
  if (isServed) expect(await checking).toEqual({ tellsInfo: true })
  else await expect(checking).rejects.toMatchObject({ code: 'REDIS_SETTING', details: { setting: 'version' } })
})
