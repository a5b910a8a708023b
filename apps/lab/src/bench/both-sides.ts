import { randomBytes } from 'node:crypto'
import { createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { type Db, MongoClient } from 'mongodb'

/** The same database by the context and by the raw driver, with the same client options and bounds. */
export interface BothSides extends AsyncDisposable {
  readonly db: DbContext
  readonly datasource: MongoDatasource
  readonly client: MongoClient
  /** Of the raw driver; its database is dropped at the end. */
  readonly raw: Db
}

export interface SidesOptions {
  readonly levelsMax?: number
  /** Of either side; default {@link callersMax}. */
  readonly connections?: number
  /** Of the service pool; default the product's. */
  readonly serviceMax?: number
}

/** Connections of either side, where nothing is said. */
export const callersMax = 16
/** The server's work on one operation; the context sends it, so does the reference. */
export const operationTimeoutMs = 30_000
const writeConcernTimeoutMs = 10_000
const lockWaitMs = 30_000

/** Opens both. The context waits as long for a document as the server's own limits let the driver wait. */
export async function openBothSides(
  mongoUrl: string,
  { levelsMax = 1, connections = callersMax, serviceMax }: SidesOptions = {},
): Promise<BothSides> {
  await using undo = new AsyncDisposableStack()
  const database = `strata_bench_${randomBytes(4).toString('hex')}`
  const client = undo.use(rawClient(mongoUrl, connections))
  undo.defer(async () => void (await client.db(database).dropDatabase()))
  const datasource = mongoDatasource({
    name: 'bench',
    url: mongoUrl,
    database,
    pool: { max: connections, ...(serviceMax !== undefined && { serviceMax }) },
    operationTimeoutMs,
    writeConcernTimeoutMs,
  })
  const db = undo.use(createDbContext({ datasources: [datasource], levels: { max: levelsMax }, lockWaitMs }))
  await db.start()
  const stack = undo.move()
  return {
    db,
    datasource,
    client,
    raw: client.db(database),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** The options that the context's own clients have; they share the server, not the pool. */
function rawClient(url: string, connections: number): MongoClient {
  return new MongoClient(url, {
    maxPoolSize: connections,
    minPoolSize: 1,
    maxConnecting: 2,
    waitQueueTimeoutMS: operationTimeoutMs,
    socketTimeoutMS: operationTimeoutMs + 10_000,
    serverMonitoringMode: 'poll',
    retryWrites: true,
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', wtimeoutMS: writeConcernTimeoutMs },
  })
}

/** What a transaction of the context is begun with. */
export const transactionOptions = {
  readConcern: { level: 'snapshot' },
  writeConcern: { w: 'majority', wtimeoutMS: writeConcernTimeoutMs },
  readPreference: 'primary',
  maxCommitTimeMS: writeConcernTimeoutMs,
} as const
