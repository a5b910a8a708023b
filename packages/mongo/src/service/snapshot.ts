import type { ClientSession, Document } from 'mongodb'
import type { MongoScope } from '../door.ts'
import type { Settings } from '../options.ts'
import type { MongoTarget } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import { translate } from '../translate.ts'

/** A collection of the store, whatever database it is in. */
export interface SnapshotSource {
  readonly database: string
  readonly collection: string
}

/** Reads of one moment, of what a majority had then. */
export interface SnapshotReader {
  /** All that it gives, in memory: give it a `$limit`. @throws OPERATION_TIMEOUT */
  aggregate(source: SnapshotSource, pipeline: readonly Document[]): Promise<Document[]>
}

/** Runs reads of one moment on one connection of the service pool at a time. */
export async function readSnapshot<T>(
  { scope, settings }: { readonly scope: MongoScope; readonly settings: Settings },
  read: (reader: SnapshotReader) => Promise<T>,
): Promise<T> {
  return await scope.service('snapshot', async target => {
    const session = target.pool.client.startSession({ snapshot: true })
    try {
      return await read({ aggregate: (source, pipeline) => aggregate({ settings, target, session }, source, pipeline) })
    } finally {
      await session.endSession()
    }
  })
}

interface Reading {
  readonly settings: Settings
  readonly target: MongoTarget
  readonly session: ClientSession
}

async function aggregate(
  { settings, target, session }: Reading,
  { database, collection }: SnapshotSource,
  pipeline: readonly Document[],
): Promise<Document[]> {
  const { pool, activity, deadline } = target
  const limit = timeLimit(settings.operationTimeoutMs, undefined, deadline)
  const options = { session, maxTimeMS: limit.ms, readPreference: 'primary' } as const
  try {
    // Not the pool's collection, whose read concern a snapshot session does not take.
    const source = pool.client.db(database).collection(collection, { readConcern: { level: 'snapshot' } })
    return await pool.send(activity, () => source.aggregate([...pipeline], options).toArray())
  } catch (error) {
    throw translate(error, { what: `${collection}.aggregate`, activity, limit, outcomeAtLimit: 'not-applied' })
  }
}
