import { randomUUID } from 'node:crypto'
import { type ContextOptions, createDbContext, type DbContext } from '@strata/db-context'
import { MongoClient } from 'mongodb'
import { type MongoDatasource, type MongoDatasourceOptions, mongoDatasource } from '../src/index.ts'

/** A context over a database of its own, and a plain client to look at it from outside. */
export interface Harness extends AsyncDisposable {
  readonly db: DbContext
  readonly store: MongoDatasource
  readonly database: string
  /** Knows nothing of levels: what another process of another program would be. */
  readonly plain: MongoClient
}

export interface HarnessOptions extends Partial<MongoDatasourceOptions> {
  readonly url: string
  readonly context?: Partial<ContextOptions>
}

export async function startHarness({ context, ...options }: HarnessOptions): Promise<Harness> {
  const database = `mongo-test-${randomUUID().slice(0, 8)}`
  const store = mongoDatasource({ name: 'main', database, ...options })
  const db = createDbContext({ datasources: [store], ...context })
  const plain = new MongoClient(options.url, { serverSelectionTimeoutMS: 5000 })
  await plain.connect()
  await db.start()
  return {
    db,
    store,
    database,
    plain,
    async [Symbol.asyncDispose]() {
      await db.stop({ deadlineMs: 5000 })
      await plain.db(database).dropDatabase()
      await plain.close()
    },
  }
}
