import { type ServerHandle, startRedis, startTlsProxy, type TlsProxy } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

let server: ServerHandle
let proxy: TlsProxy
const stage = useStage()

/** A tenant of a managed service: a user of its own, its own keys and channels, and no look at the server's settings. */
beforeAll(async () => {
  server = await startRedis({ private: true })
  proxy = await startTlsProxy(server.url)
  const admin = new Redis(server.url)
  await admin.call(
    'ACL',
    'SETUSER',
    'tenant',
    'on',
    '>p:a/s@s',
    '~test-*',
    '&test-*',
    '+@all',
    '-@admin',
    '-info',
    '-config',
  )
  await admin.call('ACL', 'SETUSER', 'default', 'off')
  admin.disconnect()
})

afterAll(async () => {
  await proxy.stop()
  await server.stop()
})

const urlWith = (password: string) => `rediss://tenant:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}`

test('calls and pushes run over TLS, by the user and password of the URL', async () => {
  const redis = { url: urlWith('p:a/s@s'), tls: { ca: proxy.certificate } }
  const db = stage.db()
  const worker = stage.worker(db, { redis })
  worker.handle(job, async ({ n }) => n + 1)
  await worker.start()
  const queues = stage.queues(db, { redis })
  expect(await db.run(() => queues.pushAsync(job, { n: 1 }))).toBe(2)
  expect(await (await queues.push(job, { n: 2 })).result()).toBe(3)
  expect(stage.reports.filter(report => !report.includes('does not tell'))).toEqual([])
})

const starts = ['queues', 'worker'] as const

const startOf = (what: (typeof starts)[number], redis: { url: string; tls: { ca: string } }) =>
  what === 'queues' ? stage.queues(stage.db(), { redis }).start() : stage.worker(stage.db(), { redis }).start()

test.each(starts)('a wrong password ends the start of %s with a typed error that does not tell it', async what => {
  const redis = { url: urlWith('not-the-password'), tls: { ca: proxy.certificate } }
  const error = await startOf(what, redis).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'REDIS_UNREACHABLE', outcome: 'not-applied' })
  const { message, details, cause, stack } = error as Error & { details: unknown }
  expect(String(cause)).toMatch(/WRONGPASS|NOAUTH/)
  const told = [message, stack, JSON.stringify(details), String(cause), (cause as Error).stack, ...stage.reports].join(
    '\n',
  )
  expect(told).not.toContain('not-the-password')
})

test.each(starts)('a server with a certificate of another ends the start of %s, and gets no password', async what => {
  await using other = await startTlsProxy(server.url)
  const redis = { url: urlWith('p:a/s@s'), tls: { ca: other.certificate } }
  await expect(startOf(what, redis)).rejects.toMatchObject({
    code: 'REDIS_UNREACHABLE',
    outcome: 'not-applied',
    cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  })
})
