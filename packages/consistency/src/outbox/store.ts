import type { BoundCollection, MongoDatasource, ServiceCollection } from '@strata/mongo'
import { ensureCollection, ensureExpiry } from '../expiring-rows.ts'
import type { Row, RowFault, RowState } from './row.ts'

/** One for each key with rows that wait for each other: their transactions write it, so the order of their commits is that of the rows. */
export interface KeyDocument {
  readonly _id: string
  readonly n: number
  readonly at: Date
}

/** Rows that are ripe are nobody's: the process that wrote them has had this long, on the cluster's clock, to publish them itself. */
const ripe = (graceSeconds: number) => ({
  $expr: { $lte: [{ $add: [{ $tsSecond: '$at' }, graceSeconds] }, { $tsSecond: '$$CLUSTER_TIME' }] },
})

const open = { open: true } as const

interface Pending {
  readonly rows: readonly Row[]
  readonly hasMore: boolean
}

/** How deep the outbox is, and how old its oldest row. */
export interface Backlog {
  readonly depth: number
  readonly lagSeconds: number
  readonly setAside: number
}

/** Of the data of one batch: whatever else is in memory comes on top. */
const charactersMax = 8_000_000

/** What `depth` counts to at most: more is more than anybody waits for. */
const depthMax = 100_000

/** The statements of the outbox on MongoDB. All but those in a transaction are background work, on the service pool. */
export class Store {
  /** For the transaction of whoever pushes. */
  readonly rows: BoundCollection<Row>
  readonly keys: BoundCollection<KeyDocument>
  readonly #datasource: MongoDatasource
  readonly #relay: string
  readonly #rows: ServiceCollection<Row>

  constructor(datasource: MongoDatasource, collection: string) {
    this.rows = datasource.collection(collection)
    this.keys = datasource.collection(`${collection}.keys`)
    this.#datasource = datasource
    this.#relay = `${collection}.relay`
    this.#rows = datasource.service.collection(collection)
  }

  async ensureIndexes(windowMs: number): Promise<void> {
    await ensureCollection(this.#datasource, this.#relay)
    const { collectionName: rows } = this.rows
    await ensureExpiry(this.#datasource, { collection: rows, field: 'publishedAt', windowMs })
    await ensureExpiry(this.#datasource, { collection: this.keys.collectionName, field: 'at', windowMs })
    await this.#rows.createIndexes([
      { key: { at: 1 }, name: 'open', partialFilterExpression: { open: true } },
      { key: { key: 1, at: 1 }, name: 'open-key', partialFilterExpression: { open: true } },
      { key: { key: 1 }, name: 'aside', partialFilterExpression: { state: 'set-aside' } },
      { key: { key: 1, at: -1 }, name: 'key', partialFilterExpression: { key: { $exists: true } } },
    ])
  }

  /** What can be published now, oldest first, but for the keys given; and whether there may be more. */
  async pending(options: { graceSeconds: number; not: readonly string[]; limit: number }): Promise<Pending> {
    const { graceSeconds, not, limit } = options
    const keys = not.length === 0 ? {} : { key: { $nin: [...not] } }
    const filter = { ...open, state: 'pending' as RowState, ...keys, ...(graceSeconds > 0 ? ripe(graceSeconds) : {}) }
    const rows: Row[] = []
    let characters = 0
    // In one reply as far as it holds them: a later one would be of a later moment, and might show what comes after a row not seen.
    for await (const row of this.#rows.find(filter, { limit, batchSize: limit, sort: { at: 1 } })) {
      rows.push(row)
      characters += String(row.data).length
      if (characters > charactersMax) return { rows, hasMore: true }
    }
    return { rows, hasMore: rows.length === limit }
  }

  /** The first rows of these keys that are not published, in the order of each key. */
  async heads(keys: readonly string[], limit: number): Promise<Row[]> {
    return await this.#rows.find({ ...open, key: { $in: [...keys] } }, { limit, sort: { at: 1 } }).toArray()
  }

  /** The last row of the same key that is published: later than this one, where their transactions ended at the same moment. */
  async lastOf({ key = '' }: Row): Promise<Row | undefined> {
    return (await this.#rows.findOne({ key, state: 'published' as RowState }, { sort: { at: -1 } })) ?? undefined
  }

  async markPublished(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const update = {
      $set: { state: 'published' as RowState },
      $currentDate: { publishedAt: true },
      $unset: { open: true },
    }
    await this.#rows.updateMany({ _id: { $in: [...ids] }, ...open }, update as never)
  }

  async setAside(id: string, fault: RowFault): Promise<void> {
    await this.#rows.updateOne({ _id: id, ...open }, { $set: { state: 'set-aside', fault } })
  }

  /** @returns how often these have been refused, this time included */
  async noteTry(id: string): Promise<number> {
    const row = await this.#rows.findOneAndUpdate({ _id: id }, { $inc: { tries: 1 } }, { returnDocument: 'after' })
    return row?.tries ?? 0
  }

  /** Keys with a row that is set aside: what comes after it waits. */
  async blockedKeys(): Promise<string[]> {
    const keys: unknown[] = await this.#rows.distinct('key', { ...open, state: 'set-aside', key: { $exists: true } })
    return keys.filter(key => typeof key === 'string')
  }

  async listSetAside(limit: number): Promise<Row[]> {
    return await this.#rows.find({ ...open, state: 'set-aside' }, { limit, sort: { at: 1 } }).toArray()
  }

  /** Lets rows that are set aside be published again. @returns how many */
  async retry(filter: object): Promise<number> {
    const update = { $set: { state: 'pending' as RowState }, $unset: { fault: true, tries: true } }
    const { modifiedCount } = await this.#rows.updateMany({ ...open, state: 'set-aside', ...filter }, update as never)
    return modifiedCount
  }

  async drop(ids: readonly string[]): Promise<number> {
    const { deletedCount } = await this.#rows.deleteMany({ _id: { $in: [...ids] }, ...open, state: 'set-aside' })
    return deletedCount
  }

  async backlog(): Promise<Backlog> {
    const [oldest] = await this.#rows
      .aggregate<{ lagSeconds: number }>([
        { $match: { ...open, state: 'pending' } },
        { $sort: { at: 1 } },
        { $limit: 1 },
        { $project: { lagSeconds: { $subtract: [{ $tsSecond: '$$CLUSTER_TIME' }, { $tsSecond: '$at' }] } } },
      ])
      .toArray()
    const count = (state: RowState) => this.#rows.countDocuments({ ...open, state }, { limit: depthMax })
    const [depth, setAside] = await Promise.all([count('pending'), count('set-aside')])
    return { depth, lagSeconds: Number(oldest?.lagSeconds ?? 0), setAside }
  }
}
