import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startMongo, startRedis, startServers } from '../src/index.ts'
import { reportLines, scratchFolder, withMongo, withRedis } from './scratch.ts'

const quiet = { report: () => {}, private: true }

async function occupy(port: number): Promise<void> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen({ port, host: '127.0.0.1' }, resolve))
  onTestFinished(() => void server.close())
}

test('without a data folder nothing is left when the servers are stopped', async () => {
  const { lines, report } = reportLines()
  const servers = await startServers({ report, private: true })
  const folder = await withRedis(servers.redisUrl, async redis => (await redis.config('GET', 'dir')) as string[])
  const path = folder[1] ?? ''
  expect(existsSync(path)).toBe(true)
  await withMongo(servers.mongoUrl, async (db, client) => {
    await client.withSession(session =>
      session.withTransaction(() => db.collection('things').insertOne({ made: 1 }, { session })),
    )
  })
  await servers.stop()
  await servers.stop()
  expect(existsSync(path)).toBe(false)
  expect(lines.filter(line => / by \w+ \(/.test(line))).toHaveLength(2)
})

test('Redis never drops keys and keeps what it has confirmed', async () => {
  await using redis = await startRedis(quiet)
  await withRedis(redis.url, async client => {
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'yes'])
    expect(await client.config('GET', 'bind')).toEqual(['bind', '127.0.0.1'])
  })
})

test('data and ports survive a restart', async () => {
  const dataDir = scratchFolder()
  const first = await startServers({ ...quiet, dataDir })
  await withMongo(first.mongoUrl, db => db.collection<{ _id: number }>('things').insertOne({ _id: 1 }))
  await withRedis(first.redisUrl, redis => redis.set('key', 'value'))
  await first.stop()

  await using second = await startServers({ ...quiet, dataDir })
  expect([second.mongoUrl, second.redisUrl]).toEqual([first.mongoUrl, first.redisUrl])
  expect(await withMongo(second.mongoUrl, db => db.collection('things').countDocuments())).toBe(1)
  expect(await withRedis(second.redisUrl, redis => redis.get('key'))).toBe('value')
})

test('data survive a port that somebody else has taken meanwhile', async () => {
  const dataDir = scratchFolder()
  const first = await startServers({ ...quiet, dataDir })
  await withMongo(first.mongoUrl, db => db.collection<{ _id: number }>('things').insertOne({ _id: 1 }))
  const ports = [...first.mongo.members, ...first.redis.members].map(member => member.port)
  await first.stop()
  await Promise.all(ports.map(occupy))

  await using second = await startServers({ ...quiet, dataDir })
  expect(second.mongoUrl).not.toBe(first.mongoUrl)
  expect(second.redisUrl).not.toBe(first.redisUrl)
  // Through the replica set's own idea of itself: a set that still had the old port would have no primary.
  expect(await withMongo(second.mongoUrl, db => db.collection('things').insertOne({}))).toMatchObject({
    acknowledged: true,
  })
  expect(await withMongo(second.mongoUrl, db => db.collection('things').countDocuments())).toBe(2)
})

test('a second start on a folder in use is refused and names who has it', async () => {
  const dataDir = scratchFolder()
  await using first = await startServers({ ...quiet, dataDir })
  const again = startServers({ ...quiet, dataDir })
  await expect(again).rejects.toMatchObject({ code: 'SERVERS_DATA_FOLDER_BUSY', details: { pid: process.pid } })
  // The refused start has touched nothing of the one that runs.
  expect(await withRedis(first.redisUrl, redis => redis.ping())).toBe('PONG')
})

test('a folder that cannot be made is one clear error', async () => {
  const file = join(scratchFolder(), 'a-file')
  writeFileSync(file, '')
  await expect(startMongo({ ...quiet, dataDir: file })).rejects.toMatchObject({
    code: 'SERVERS_DATA_FOLDER',
    message: expect.stringMatching(
      /a-file cannot be used: there is a file in its place; remove the file, or use another/,
    ),
  })
})

test('damaged data are one clear error, and remain as they are', async () => {
  const dataDir = scratchFolder()
  const folder = join(dataDir, 'mongo', 'data-0')
  mkdirSync(folder, { recursive: true })
  const first = await startMongo({ ...quiet, dataDir })
  await first.stop()
  writeFileSync(join(folder, 'WiredTiger.turtle'), 'not what it was')
  const before = readdirSync(folder).length
  await expect(startMongo({ ...quiet, dataDir })).rejects.toMatchObject({
    code: 'SERVERS_DATA_FOLDER',
    message: expect.stringMatching(/data are damaged; remove the folder to begin anew/),
  })
  expect(readdirSync(folder).length).toBeGreaterThanOrEqual(before)
})

test('a damaged append-only file is one clear error', async () => {
  const dataDir = scratchFolder()
  const first = await startRedis({ ...quiet, dataDir })
  await withRedis(first.url, redis => redis.set('key', 'value'))
  await first.stop()
  const folder = join(dataDir, 'redis', 'appendonlydir')
  const log = readdirSync(folder).find(name => name.endsWith('.incr.aof')) ?? ''
  writeFileSync(join(folder, log), 'no command of Redis\r\nat all\r\n'.repeat(10))
  await expect(startRedis({ ...quiet, dataDir })).rejects.toMatchObject({
    code: 'SERVERS_DATA_FOLDER',
    message: expect.stringMatching(/data are damaged/),
  })
})

test('a full disk is one clear error before anything is started', async context => {
  const folder = scratchFolder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    context.skip('a small disk can only be mounted by root')
  }
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  await expect(startServers({ ...quiet, dataDir: folder })).rejects.toMatchObject({
    code: 'SERVERS_DATA_FOLDER',
    message: expect.stringMatching(/has \d+ MB free, 300 MB are needed; free some space/),
  })
})
