import { randomUUID } from 'node:crypto'
import { createDbContext, type DbContext, type Isolation } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'

export interface Counter {
  _id: string
  n: number
}

export interface FixtureOptions {
  readonly url: string
  readonly isolation: Isolation
  /** The bound that turns a hang into its symptom; long enough that nothing else meets it. */
  readonly poolTimeoutMs?: number
}

export interface Fixture extends AsyncDisposable {
  readonly db: DbContext
  readonly datasource: MongoDatasource
  readonly database: string
}

/** A context over a fresh database with every pool of size 1. */
export function fixture({ url, isolation, poolTimeoutMs }: FixtureOptions): Fixture {
  const database = `pairs-${randomUUID()}`
  const timeoutMs = poolTimeoutMs ?? (isolation === 'none' ? 500 : 10_000)
  const datasource = mongoDatasource({ name: 'main', url, database, pool: { max: 1, timeoutMs } })
  const db = createDbContext({ datasources: [datasource], isolation })
  return { db, datasource, database, [Symbol.asyncDispose]: () => db.stop({ deadlineMs: 5000 }) }
}

/** What became of a piece of work: its value, or the code of its typed error. */
export async function end<T>(work: Promise<T>): Promise<T | string> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof Error)) return String(error)
    return 'code' in error && error.code !== undefined ? String(error.code) : error.name
  }
}
