import { randomBytes } from 'node:crypto'
import { type Servers, startLoadBalancedProxy, startServers } from '@strata/testkit'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { LabError } from '../lab-error.ts'
import { collectionName } from '../process/open-stage.ts'
import type { ScenarioShape } from '../scenarios/scenario.ts'
import type { Settings } from '../settings.ts'
import { ServerLook } from './server-look.ts'

/** Servers for one run, with a database and a Redis prefix that nobody else uses. */
export interface Ground extends AsyncDisposable {
  /** Names the database and prefixes all Redis keys. */
  readonly run: string
  /** Of the asked-for topology. */
  readonly mongoUrl: string
  readonly redisUrl: string
  readonly versions: { readonly mongodb: string; readonly redis: string }
  /** What these servers know of the run. */
  readonly look: ServerLook
  /** Kills the primary of the run's own servers, as a crash would. */
  killPrimary(): Promise<void>
}

/** The server itself ends a transaction after 60 s; a hang has to last longer than the lab looks at it. */
const transactionLifetimeMarginMs = 120_000
/** What is not cleaned up in this time is left: it is in a database of its own. */
const cleanUpMs = 3000

export async function layGround(
  settings: Settings,
  scenario: ScenarioShape,
  options: { readonly report: (line: string) => void; readonly env?: NodeJS.ProcessEnv | undefined },
): Promise<Ground> {
  const servers = await startServersFor(scenario, options)
  const run = `strata_lab_${randomBytes(4).toString('hex')}`
  await using undo = new AsyncDisposableStack()
  undo.defer(() => servers.stop())
  await setUp(servers, { run, settings, scenario })
  undo.defer(() => cleanUp(servers, run))
  const look = undo.use(new ServerLook({ ...servers, run }))
  const isLoadBalanced = settings.topology === 'load-balanced'
  const proxy = isLoadBalanced ? undo.use(await startLoadBalancedProxy(servers.mongoUrl)) : undefined
  const stack = undo.move()
  return {
    run,
    mongoUrl: proxy?.url ?? servers.mongoUrl,
    redisUrl: servers.redisUrl,
    versions: { mongodb: servers.mongo.version, redis: servers.redis.version },
    look,
    killPrimary: () => killPrimary(servers.mongo),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** A server at a given URL is somebody's: it is cleaned up after, and its parameters are left alone. */
const isGiven = (rung: string): boolean => rung === 'url'

/** A scenario with servers of its own takes nothing from a given URL, and shares nothing. */
function startServersFor(
  { ownMongo }: ScenarioShape,
  { report, env: given = process.env }: { report: (line: string) => void; env?: NodeJS.ProcessEnv | undefined },
): Promise<Servers> {
  if (ownMongo === undefined) return startServers({ report, env: given })
  const { MONGO_URL: _, STRATA_MONGO: rung, ...others } = given
  const env = rung === undefined || isGiven(rung) ? others : { ...others, STRATA_MONGO: rung }
  return startServers({ report, env, ...ownMongo })
}

async function killPrimary({ url, members }: Servers['mongo']): Promise<void> {
  await using client = new MongoClient(url, { serverSelectionTimeoutMS: cleanUpMs })
  const { me } = await client.db('admin').command({ hello: 1 })
  const primary = members.find(({ port }) => String(me).endsWith(`:${port}`))
  if (primary === undefined) throw new LabError('RUN_FAILED', `No process of this run is the primary ${me}`)
  primary.kill()
}

async function setUp(
  servers: Servers,
  { run, settings, scenario }: { run: string; settings: Settings; scenario: ScenarioShape },
): Promise<void> {
  await using client = new MongoClient(servers.mongoUrl)
  await client.db(run).createCollection(collectionName)
  if (isGiven(servers.mongo.rung) || scenario.needsLifetime) return
  const seconds = Math.ceil((settings.deadlineMs + transactionLifetimeMarginMs) / 1000)
  await client.db('admin').command({ setParameter: 1, transactionLifetimeLimitSeconds: seconds })
}

async function cleanUp(servers: Servers, run: string): Promise<void> {
  // Servers started for the run go with all they hold; a failure here must not hide the result.
  const mongo = isGiven(servers.mongo.rung) ? dropDatabase(servers.mongoUrl, run) : undefined
  const redis = isGiven(servers.redis.rung) ? dropKeys(servers.redisUrl, run) : undefined
  await Promise.allSettled([mongo, redis])
}

async function dropDatabase(url: string, run: string): Promise<void> {
  await using client = new MongoClient(url, { serverSelectionTimeoutMS: cleanUpMs })
  const admin = client.db('admin')
  // Killed processes leave transactions open, whose locks the drop would wait for.
  const left = await admin.aggregate([{ $currentOp: { idleSessions: true } }, { $match: { appName: run } }]).toArray()
  const sessions = left.flatMap(({ lsid }) => (lsid === undefined ? [] : [{ lsid: { id: lsid.id, uid: lsid.uid } }]))
  if (sessions.length > 0) await admin.command({ killAllSessionsByPattern: sessions })
  await client.db(run).command({ dropDatabase: 1, maxTimeMS: cleanUpMs })
}

async function dropKeys(url: string, run: string): Promise<void> {
  const redis = new Redis(url, { commandTimeout: cleanUpMs })
  try {
    for await (const keys of redis.scanStream({ match: `${run}:*`, count: 1000 }) as AsyncIterable<string[]>) {
      if (keys.length > 0) await redis.unlink(...keys)
    }
  } finally {
    redis.disconnect()
  }
}
