import { mongoKind, redisKind } from './kinds.ts'
import { climb } from './ladder.ts'
import { type RedisRelease, redisKindOf } from './redis-releases.ts'
import type { Member, RungName, ServerEnd, ServerKind } from './server-kind.ts'
import { checkVariables } from './server-variables.ts'

/** What one server is started with. */
export interface ServerOptions {
  /** Keeps data and port in `dataDir/mongo` or `dataDir/redis`; absent: a temporary folder, removed by `stop`. */
  readonly dataDir?: string
  /** Receives one line for the rung taken, and lines of progress while something is fetched; stderr by default. */
  readonly report?: (line: string) => void
  /** Where URLs, forced rungs and the PATH are read; this process's environment by default. */
  readonly env?: NodeJS.ProcessEnv
  /** A server nobody else uses, never the one at the URL. True by itself with arguments or three members. */
  readonly private?: boolean
}

/** Options of `startMongo`. */
export interface MongoOptions extends ServerOptions {
  /** Size of the replica set; 1 by default. */
  readonly members?: 1 | 3
  /** Further arguments of mongod; they replace testkit's own of the same name. */
  readonly mongoArgs?: readonly string[]
}

/** Options of `startRedis`. */
export interface RedisOptions extends ServerOptions {
  /** Further arguments of the Redis server; they replace testkit's own of the same name. */
  readonly redisArgs?: readonly string[]
  /** One of `redisReleases`, whatever else is to be had: kept from an earlier run, or from its wheel (Linux x64, pip). */
  readonly release?: RedisRelease
}

/** Options of `startServers`. */
export type ServersOptions = MongoOptions & RedisOptions

/** A running server. */
export interface ServerHandle extends AsyncDisposable {
  readonly url: string
  readonly rung: RungName
  readonly version: string
  /** The process of the first member; undefined for a URL or a container. */
  readonly pid: number | undefined
  /** The processes behind it, to break and restart one by one; empty for a URL or a container. */
  readonly members: readonly Member[]
  /**
   * Settles when one of its processes has ended and `stop` was not called, `kill` included; never rejects. It stays open
   * through `stop` and for a URL.
   */
  readonly exited: Promise<ServerEnd>
  /** Ends it within 6 s; a URL's server is left alone. Idempotent. */
  stop(): Promise<void>
  /** Ends it as a crash would, or sends another signal; absent for a URL. `stop` is still due. */
  readonly kill?: (signal?: NodeJS.Signals) => Promise<void>
}

/** A MongoDB replica set and a Redis. */
export interface Servers extends AsyncDisposable {
  readonly mongoUrl: string
  readonly redisUrl: string
  readonly mongo: ServerHandle
  readonly redis: ServerHandle
  stop(): Promise<void>
}

/**
 * Brings up MongoDB (a replica set with a writable primary) and Redis (noeviction, AOF) by the first rung that works,
 * on 127.0.0.1 only. They end with this process within 10 s, also when it is killed.
 *
 * Not guaranteed: the version, which is that of the rung taken.
 * @throws TestkitError, see `startMongo`; the other server is stopped then. SERVERS_RUNG_UNKNOWN and SERVERS_URL_INVALID
 * come before anything is started.
 */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  // Both at once: a wrong word about the second must not cost the download of the first.
  const env = options.env ?? process.env
  for (const kind of [mongoKind, redisKind]) checkVariables(kind, env)
  const [mongo, redis] = await Promise.allSettled([startMongo(options), startRedis(options)])
  if (mongo.status === 'rejected' || redis.status === 'rejected') {
    for (const each of [mongo, redis]) if (each.status === 'fulfilled') await each.value.stop()
    throw mongo.status === 'rejected' ? mongo.reason : (redis as PromiseRejectedResult).reason
  }
  const stop = async (): Promise<void> => {
    await Promise.all([mongo.value.stop(), redis.value.stop()])
  }
  const urls = { mongoUrl: mongo.value.url, redisUrl: redis.value.url }
  return { ...urls, mongo: mongo.value, redis: redis.value, stop, [Symbol.asyncDispose]: stop }
}

/**
 * Brings up MongoDB alone.
 * @throws SERVERS_UNAVAILABLE when no rung works: it lists each, why, and what to do.
 * @throws SERVERS_RUNG_FAILED, SERVERS_RUNG_UNKNOWN about `STRATA_MONGO`.
 * @throws SERVERS_URL_INVALID when `MONGO_URL` is no such URL.
 * @throws SERVERS_URL_UNREACHABLE, SERVERS_URL_UNSUITABLE about `MONGO_URL`, within 5 s.
 * @throws SERVERS_DATA_FOLDER, SERVERS_DATA_FOLDER_BUSY about `dataDir`.
 */
export function startMongo(options: MongoOptions = {}): Promise<ServerHandle> {
  return start(mongoKind, options, { members: options.members ?? 1, args: options.mongoArgs ?? [] })
}

/**
 * Brings up Redis alone.
 * @throws as `startMongo`, about `STRATA_REDIS` and `REDIS_URL`.
 */
export function startRedis(options: RedisOptions = {}): Promise<ServerHandle> {
  const shape = { members: 1, args: options.redisArgs ?? [] } as const
  const { release } = options
  return release === undefined ? start(redisKind, options, shape) : startRelease(release, options, shape)
}

interface Shape {
  readonly members: 1 | 3
  readonly args: readonly string[]
}

/** What the environment asks for is another program. */
function startRelease(release: RedisRelease, options: RedisOptions, shape: Shape): Promise<ServerHandle> {
  const { REDIS_URL: _, STRATA_REDIS: __, ...env } = options.env ?? process.env
  return start(redisKindOf(release), { ...options, env, private: true }, shape)
}

async function start(kind: ServerKind, options: ServerOptions, shape: Shape): Promise<ServerHandle> {
  const isPrivate = options.private ?? (shape.members === 3 || shape.args.length > 0)
  const order = {
    ...shape,
    dataDir: options.dataDir,
    env: options.env ?? process.env,
    report: options.report ?? ((line: string) => process.stderr.write(`${line}\n`)),
  }
  const { rung, server } = await climb(kind, order, isPrivate)
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= server.stop()
    return stopped
  }
  return {
    url: server.url,
    rung,
    version: server.version,
    get pid() {
      return server.members[0]?.pid
    },
    members: server.members,
    exited: server.exited,
    stop,
    ...(server.kill === undefined ? {} : { kill: server.kill }),
    [Symbol.asyncDispose]: stop,
  }
}
