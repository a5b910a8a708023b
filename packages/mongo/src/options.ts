import { dbContextError, type PoolLimits } from '@strata/db-context'
import { MongoClient } from 'mongodb'
import { databaseOf, storeKey } from './store-key.ts'

export interface MongoDatasourceOptions {
  /** Unique in a context. */
  readonly name: string
  /** A connection string of a replica set, a sharded cluster or a load balancer. */
  readonly url: string
  /** Default: the database of the URL, else `name`. */
  readonly database?: string
  readonly pool?: {
    /** Connections a level, from 1 to 1,000; default 10. */
    readonly max?: number
    /** The longest wait for a connection, in milliseconds; default 30,000. */
    readonly timeoutMs?: number
    /** Connections for background work, from 1 to 1,000; default 2. */
    readonly serviceMax?: number
  }
  /**
   * The longest time that the server works on one operation, waits for documents and for the majority included, in
   * milliseconds; default 30,000. An operation's own `maxTimeMS` and the deadline around it can only shorten it.
   */
  readonly operationTimeoutMs?: number
  /**
   * The longest time that the definition of a collection or an index is tried for, in milliseconds; default 30,000. Each try
   * is short, so that those who use the collection get through in between.
   */
  readonly definitionTimeoutMs?: number
  /** The longest wait for a majority to confirm a write, in milliseconds; default 10,000. */
  readonly writeConcernTimeoutMs?: number
  /** The longest time in which `start` must reach the server, in milliseconds; default 5,000. */
  readonly startTimeoutMs?: number
  /**
   * The longest time that an operation waits for a server that can take it, in milliseconds; default 15,000, above a
   * usual election.
   */
  readonly serverSelectionTimeoutMs?: number
  /** Change streams and tailable cursors open at once, each on a connection of its own; from 0 to 100, default 4. */
  readonly streamsMax?: number
  /** The connections that the server grants, for a user who may not read them from the server; default: ask it. */
  readonly connectionsMax?: number
  /** What the server's logs call this process; default `strata`. */
  readonly appName?: string
}

/** Checked options, every default filled in. */
export interface Settings {
  readonly name: string
  readonly url: string
  readonly key: string
  readonly database: string
  readonly pool: PoolLimits
  readonly operationTimeoutMs: number
  readonly definitionTimeoutMs: number
  readonly writeConcernTimeoutMs: number
  readonly startTimeoutMs: number
  readonly serverSelectionTimeoutMs: number
  readonly streamsMax: number
  readonly connectionsMax: number | undefined
  readonly appName: string
}

const poolMaxLimit = 1000
const streamsMaxLimit = 100
/** setTimeout fires at once above this. */
const msLimit = 2 ** 31 - 1

/** @throws CONFIG */
export function readSettings(options: MongoDatasourceOptions): Settings {
  const { name, url, pool = {} } = options
  if (typeof name !== 'string' || name === '') throw config('name', name, 'a name')
  const key = readKey(url)
  return {
    name,
    url,
    key,
    database: options.database ?? databaseOf(url) ?? name,
    pool: {
      max: whole('pool.max', pool.max ?? 10, 1, poolMaxLimit),
      timeoutMs: ms('pool.timeoutMs', pool.timeoutMs ?? 30_000),
      serviceMax: whole('pool.serviceMax', pool.serviceMax ?? 2, 1, poolMaxLimit),
    },
    operationTimeoutMs: ms('operationTimeoutMs', options.operationTimeoutMs ?? 30_000),
    definitionTimeoutMs: ms('definitionTimeoutMs', options.definitionTimeoutMs ?? 30_000),
    writeConcernTimeoutMs: ms('writeConcernTimeoutMs', options.writeConcernTimeoutMs ?? 10_000),
    startTimeoutMs: ms('startTimeoutMs', options.startTimeoutMs ?? 5000),
    serverSelectionTimeoutMs: ms('serverSelectionTimeoutMs', options.serverSelectionTimeoutMs ?? 15_000),
    streamsMax: whole('streamsMax', options.streamsMax ?? 4, 0, streamsMaxLimit),
    connectionsMax:
      options.connectionsMax === undefined ? undefined : whole('connectionsMax', options.connectionsMax, 1, msLimit),
    appName: options.appName ?? 'strata',
  }
}

/** The settings that shape a pool: datasources of one store share it, so these have to be equal between them. */
export function sharedSettings({ name, database, url, ...shared }: Settings): string {
  return JSON.stringify(shared)
}

function readKey(url: string): string {
  try {
    // The driver's own parser knows every option; a client that is not connected holds no resource.
    new MongoClient(url)
    return storeKey(url)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    // The URL itself stays out of the message: it may hold a password.
    throw dbContextError('CONFIG', `Option url is not a usable MongoDB connection string: ${reason}`, { cause })
  }
}

function whole(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw config(option, value, `a whole number from ${min} to ${max}`)
}

function ms(option: string, value: number): number {
  if (Number.isFinite(value) && value >= 1 && value <= msLimit) return Math.ceil(value)
  throw config(option, value, `milliseconds from 1 to ${msLimit}`)
}

function config(option: string, got: unknown, expected: string) {
  return dbContextError('CONFIG', `Option ${option} is ${String(got)}, expected ${expected}`, {
    details: { option, got, expected },
  })
}
