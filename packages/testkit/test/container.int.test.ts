import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { spawnNode, startMongo, startServers, until } from '../src/index.ts'
import { type Engine, fetchImage, findEngine } from '../src/servers/container/engine.ts'
import { cleanEnv, reportLines, scratchFolder, withMongo, withRedis } from './scratch.ts'

const holder = fileURLToPath(new URL('./fixtures/hold-servers.ts', import.meta.url))
// Made by infra/container/build-images.sh; where they are missing the pinned images are pulled.
const LOCAL = { STRATA_MONGO_IMAGE: 'strata-local/mongo', STRATA_REDIS_IMAGE: 'strata-local/valkey' }
const PINNED = { STRATA_MONGO_IMAGE: 'mongo:8.0.15', STRATA_REDIS_IMAGE: 'valkey/valkey:8.1.8' }
const FORCED = { STRATA_MONGO: 'container', STRATA_REDIS: 'container' }

let engine: Engine | undefined
let missing = ''
let env: NodeJS.ProcessEnv = {}

beforeAll(async () => {
  try {
    engine = await findEngine()
    env = cleanEnv({ ...FORCED, ...(await usableImages(engine)) })
  } catch (error) {
    missing = (error as Error).message
  }
}, 600_000)

async function usableImages(found: Engine): Promise<typeof LOCAL> {
  const images = (await found.client.container.dockerode.listImages()).flatMap(image => image.RepoTags ?? [])
  if (Object.values(LOCAL).every(image => images.includes(`${image}:latest`))) return LOCAL
  for (const image of Object.values(PINNED)) await fetchImage(found, image, () => {})
  return PINNED
}

/** The ports that containers publish now, each with the address it is published on. */
async function published(): Promise<{ address: string; port: number }[]> {
  const containers = (await engine?.client.container.list()) ?? []
  return containers.flatMap(({ Ports }) => Ports.map(each => ({ address: each.IP, port: each.PublicPort })))
}

const portsOf = (...urls: string[]): number[] => urls.map(url => Number(/:(\d+)/.exec(url.slice(8))?.[1]))

test('both servers run in containers, on loopback alone, and leave nothing', async context => {
  context.skip(missing !== '', missing)
  const { lines, report } = reportLines()
  const servers = await startServers({ env, report })
  expect([servers.mongo.rung, servers.redis.rung]).toEqual(['container', 'container'])
  expect(lines).toContainEqual(
    expect.stringMatching(/^MongoDB .* by container \(.*\), because forced by STRATA_MONGO$/),
  )
  const ports = portsOf(servers.mongoUrl, servers.redisUrl)
  const ours = (await published()).filter(({ port }) => ports.includes(port))
  expect(ours.map(({ address }) => address)).toEqual(['127.0.0.1', '127.0.0.1'])
  await withMongo(servers.mongoUrl, async (db, client) => {
    await client.withSession(session =>
      session.withTransaction(() => db.collection('things').insertOne({ made: 1 }, { session })),
    )
  })
  await withRedis(servers.redisUrl, async redis => {
    expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
  })
  await servers.stop()
  expect((await published()).filter(({ port }) => ports.includes(port))).toEqual([])
})

test('data and ports survive, also from a container to a program', async context => {
  context.skip(missing !== '', missing)
  const dataDir = scratchFolder()
  const first = await startServers({ env, report: () => {}, dataDir })
  await withMongo(first.mongoUrl, db => db.collection<{ _id: number }>('things').insertOne({ _id: 1 }))
  await withRedis(first.redisUrl, redis => redis.set('key', 'value'))
  await first.stop()
  // The local images carry the programs of the wheels; a pulled image may well be of another version.
  const isSame = env['STRATA_MONGO_IMAGE'] === LOCAL.STRATA_MONGO_IMAGE && process.platform === 'linux'
  await using second = await startServers({ env: isSame ? cleanEnv() : env, report: () => {}, dataDir, private: true })
  expect([second.mongoUrl, second.redisUrl]).toEqual([first.mongoUrl, first.redisUrl])
  expect(await withMongo(second.mongoUrl, db => db.collection('things').countDocuments())).toBe(1)
  expect(await withRedis(second.redisUrl, redis => redis.get('key'))).toBe('value')
})

test('three members in containers are one replica set', async context => {
  context.skip(missing !== '', missing)
  await using mongo = await startMongo({ env, report: () => {}, members: 3 })
  await withMongo(mongo.url, async (db, client) => {
    await db.collection('things').insertOne({ made: 1 }, { writeConcern: { w: 3 } })
    expect((await client.db('admin').command({ hello: 1 }))['hosts']).toHaveLength(3)
  })
})

interface Held {
  readonly mongoUrl: string
  readonly redisUrl: string
}
const isHeld = (message: unknown): message is Held => (message as Held).mongoUrl !== undefined

test('no container is left 10 s after the parent is killed', async context => {
  context.skip(missing !== '', missing)
  const parent = await spawnNode(holder, { env, ipc: true })
  const { mongoUrl, redisUrl } = await parent.nextMessage(isHeld, 50_000)
  const ports = portsOf(mongoUrl, redisUrl)
  const left = async (): Promise<number> => (await published()).filter(({ port }) => ports.includes(port)).length
  expect(await left()).toBe(2)
  parent.kill('SIGKILL')
  await until(async () => (await left()) === 0, { deadlineMs: 10_000, message: 'the containers to go' })
})

test('an image that is not to be had is an error that says what to do', async context => {
  context.skip(engine === undefined, missing)
  const none = cleanEnv({ ...FORCED, STRATA_MONGO_IMAGE: 'localhost:1/no/such/image:0' })
  await expect(startMongo({ env: none, report: () => {} })).rejects.toMatchObject({
    code: 'SERVERS_RUNG_FAILED',
    message: expect.stringMatching(/^MongoDB by container, .* cannot be had: .*build-images\.sh/s),
  })
})
