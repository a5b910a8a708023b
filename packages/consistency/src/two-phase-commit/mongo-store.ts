import { dbContextError, deadlineIn, Permits } from '@strata/db-context'
import type { MongoDatasource, ServiceCollection, SnapshotReader } from '@strata/mongo'
import { ensureCollection, ensureExpiry } from '../expiring-rows.ts'
import type { Participant } from './participant.ts'
import type { Documents, Moment, Plain, Store } from './port.ts'
import { recordVersion } from './record.ts'
import { isRefusal } from './refusal.ts'

const duplicateKey = 11_000
const primary = { readPreference: 'primary', readConcern: { level: 'majority' } } as const

/**
 * Transactions on MongoDB, on the service pools: never part of a transaction around the call. Reads come from the primary and show what
 * a majority has, which every write before was answered by, also one that has matched nothing.
 */
export class MongoStore implements Store {
  readonly records: Documents
  readonly #datasource: MongoDatasource
  readonly #collection: string

  constructor(datasource: MongoDatasource, collection: string) {
    this.#datasource = datasource
    this.#collection = collection
    this.records = documentsOf(datasource.service.collection(collection))
  }

  participant({ datasource, collection }: Participant): Documents {
    const documents = documentsOf(datasource.service.collection(collection))
    const permits = permitsOf(datasource)
    return {
      ...documents,
      async update(filter, update, options = {}) {
        const permit = await permits.acquire(places(permits, datasource, options.timeoutMs))
        try {
          return await documents.update(filter, update, options)
        } finally {
          permit.release()
        }
      },
    }
  }

  placeOf({ datasource, collection }: Participant): string {
    return `${datasource.key} ${datasource.service.collection(collection).namespace}`
  }

  readonly isRefusal = isRefusal

  isOneCluster({ datasource }: Participant): boolean {
    return datasource.key === this.#datasource.key
  }

  moment<T>(read: (moment: Moment) => Promise<T>): Promise<T> {
    return this.#datasource.service.snapshot(reader =>
      read({
        records: snapshotOf(reader, this.#datasource, this.#collection),
        participant: ({ datasource, collection }) => snapshotOf(reader, datasource, collection),
      }),
    )
  }

  async ensureIndexes(windowMs: number): Promise<void> {
    await ensureExpiry(this.#datasource, { collection: this.#collection, field: 'endedAt', windowMs })
    await this.#datasource.service.collection(this.#collection).createIndexes([
      { key: { touchedAt: 1 }, name: 'open', partialFilterExpression: { open: true } },
      { key: { state: 1, changedAt: 1 }, name: 'state' },
      { key: { v: 1 }, name: 'newer', partialFilterExpression: { v: { $gt: recordVersion } } },
    ])
  }

  async ensureParticipants(participants: Iterable<Participant>): Promise<void> {
    for (const { datasource, collection } of participants) await ensureCollection(datasource, collection)
  }
}

const snapshotOf = (
  reader: SnapshotReader,
  datasource: MongoDatasource,
  collection: string,
): Pick<Documents, 'aggregate'> => {
  const source = { database: datasource.service.collection(collection).dbName, collection }
  return { aggregate: pipeline => reader.aggregate(source, pipeline.map(mutable)) }
}

/**
 * Everything else on the service pool waits for nothing. Writes of participants' documents wait for whoever holds those, and would
 * keep all its connections from the renewals of leases and from the outbox, which their holder may be waiting for: one is left to those,
 * where there are two.
 */
const stepPermits = new WeakMap<MongoDatasource, Permits>()

function permitsOf(datasource: MongoDatasource): Permits {
  const permits = stepPermits.get(datasource) ?? new Permits(Math.max(1, datasource.pool.serviceMax - 1))
  stepPermits.set(datasource, permits)
  return permits
}

const waitMsDefault = 30_000

/** The wait for one of them, which is not the wait for a document. */
const places = ({ max }: Permits, { name, pool }: MongoDatasource, timeoutMs = waitMsDefault) => ({
  deadline: deadlineIn(timeoutMs),
  signal: undefined,
  refuse: () =>
    dbContextError(
      'POOL_TIMEOUT',
      `A step of a two-phase commit has waited ${timeoutMs} ms for one of ${max} places among the ${pool.serviceMax} service connections ` +
        `of ${name}: raise pool.serviceMax`,
      { outcome: 'not-applied', transient: true, details: { datasource: name, timeoutMs, max } },
    ),
})

function documentsOf(collection: ServiceCollection): Documents {
  return {
    async insert(document) {
      try {
        await collection.insertOne({ ...document })
        return true
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === duplicateKey) return false
        throw error
      }
    },
    async update(filter, update, { timeoutMs, isSentOnce = false } = {}) {
      const options = timeoutMs === undefined ? {} : { maxTimeMS: timeoutMs }
      // The driver sends `updateOne` a second time, and the server knows a write again only where it has matched: the first may still
      // come. Only `updateMany` is not retried; the `_id` in the filter keeps it to one document.
      const send = isSentOnce ? collection.updateMany : collection.updateOne
      const { matchedCount } = await send.call(collection, filter, updateOf(update) as never, options)
      return matchedCount > 0
    },
    async change(filter, pipeline) {
      return await collection.findOneAndUpdate(filter, updateOf(pipeline) as never, { returnDocument: 'after' })
    },
    aggregate: async pipeline => await collection.aggregate(pipeline.map(mutable), primary).toArray(),
  }
}

const mutable = (document: Plain) => ({ ...document })
const updateOf = (update: Plain | readonly Plain[]) => (isPipeline(update) ? update.map(mutable) : mutable(update))
const isPipeline = (update: Plain | readonly Plain[]): update is readonly Plain[] => Array.isArray(update)
