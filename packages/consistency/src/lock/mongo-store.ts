import type { MongoDatasource, ServiceCollection } from '@strata/mongo'
import { consistencyError } from '../errors.ts'
import { ensureExpiry } from '../expiring-rows.ts'
import { type Attempt, type Claim, type LockState, type LockStore, placeMs, placesMax } from './store.ts'

/** The version of documents that this code writes, and the only one that it reads. */
const lockVersion = 1

interface LockDocument {
  readonly _id: string
  readonly v: number
  readonly token: number
  /** When it was last granted or renewed, to ten minutes: it is removed long after that. Absent until the first attempt. */
  readonly at?: Date
  readonly lease?: {
    readonly id: string
    readonly owner: string
    readonly since: Date
    readonly until: Date
    readonly ms: number
  }
  /** Who waits, in the order in which they came. */
  readonly queue: readonly { readonly id: string; readonly until: Date }[]
}

const duplicateKey = 11_000

/** In ms from now, by the server's clock. */
const inMs = (ms: unknown) => ({ $add: ['$$NOW', ms] })

/**
 * The cluster's time as a number: it grows with each write to the cluster and never goes back, so tokens go on where they were when a
 * lock's document has been removed, or its whole collection. Seconds and the place within the second, below 2^53 until 2106.
 */
const clusterNumber = {
  $add: [
    { $multiply: [{ $tsSecond: '$$CLUSTER_TIME' }, 2 ** 20] },
    { $min: [{ $tsIncrement: '$$CLUSTER_TIME' }, 2 ** 20 - 1] },
  ],
}

/** Anew only when it is old, as windows are an hour or longer: each change of it costs an entry of an index, with each lease. */
const noted = { $cond: [{ $lt: ['$at', inMs(-600_000)] }, '$$NOW', '$at'] }

const nextToken = { $max: [{ $add: ['$token', 1] }, clusterNumber] }

/** True while it is later than now. */
const isLive = (until: string) => ({ $gt: [until, '$$NOW'] })

/** Without who has not asked for too long. One that ends later than any can was written before the clock was set back. */
const liveQueue = {
  $map: {
    input: { $filter: { input: '$queue', as: 'place', cond: isLive('$$place.until') } },
    as: 'place',
    in: { id: '$$place.id', until: { $min: ['$$place.until', inMs(placeMs)] } },
  },
}

const liveLease = {
  $cond: [
    isLive('$lease.until'),
    { $mergeObjects: ['$lease', { until: { $min: ['$lease.until', inMs('$lease.ms')] } }] },
    '$$REMOVE',
  ],
}

const isGiven = (field: string) => ({ $ne: [{ $type: field }, 'missing'] })

/** In the queue, with its time anew when half of it has gone: a poll mostly changes nothing, and then the server writes nothing. */
const queueWith = (id: string) => {
  const place = { id, until: inMs(placeMs) }
  const isOld = { $and: [{ $eq: ['$$place.id', id] }, { $lt: ['$$place.until', inMs(placeMs / 2)] }] }
  const refreshed = { $map: { input: '$queue', as: 'place', in: { $cond: [isOld, place, '$$place'] } } }
  const isFull = { $gte: [{ $size: '$queue' }, placesMax] }
  return { $cond: [{ $or: [{ $in: [id, '$queue.id'] }, isFull] }, refreshed, { $concatArrays: ['$queue', [place]] }] }
}

/** Grants a free lock to whoever is first, and keeps a place for others, in one statement on the server's clock. */
function attemptUpdate(claim: Claim): object[] {
  const { id, waits } = claim
  const first = { $ifNull: [{ $first: '$queue.id' }, id] }
  const isMine = { $eq: [{ $ifNull: ['$lease.id', id] }, id] }
  const others = { $filter: { input: '$queue', as: 'place', cond: { $ne: ['$$place.id', id] } } }
  const granted = (value: unknown, otherwise: unknown) => ({ $cond: ['$grant', value, otherwise] })
  return [
    { $set: { queue: liveQueue, lease: liveLease } },
    { $set: { grant: { $and: [isMine, { $eq: [first, id] }] }, isNew: { $not: [isGiven('$lease')] } } },
    {
      $set: {
        token: { $cond: [{ $and: ['$grant', '$isNew'] }, nextToken, '$token'] },
        lease: granted({ $ifNull: ['$lease', leaseOf(claim)] }, '$lease'),
        queue: granted(others, waits ? queueWith(id) : '$queue'),
        at: noted,
      },
    },
    { $unset: ['grant', 'isNew'] },
  ]
}

/** What nearly every lease takes: a third of the work of the whole, for the server and for what it is sent. */
const freeFilter = { v: lockVersion, lease: { $exists: false }, 'queue.0': { $exists: false } }

const freeUpdate = (claim: Claim) => [{ $set: { token: nextToken, lease: leaseOf(claim), at: noted } }]

const leaseOf = ({ id, owner, ttlMs }: Claim) => ({
  id,
  owner: { $literal: owner },
  since: '$$NOW',
  until: inMs(ttlMs),
  ms: ttlMs,
})

/** Locks in a collection. All statements are single, on the service pool, and on the server's clock. */
export class MongoLockStore implements LockStore {
  readonly #datasource: MongoDatasource
  readonly #collection: string
  readonly #locks: ServiceCollection<LockDocument>

  constructor(datasource: MongoDatasource, collection: string) {
    this.#datasource = datasource
    this.#collection = collection
    this.#locks = datasource.service.collection(collection)
  }

  async ensureIndexes(windowMs: number): Promise<void> {
    await ensureExpiry(this.#datasource, { collection: this.#collection, field: 'at', windowMs })
  }

  async attempt(key: string, claim: Claim): Promise<Attempt> {
    const update = attemptUpdate(claim)
    const find = () => this.#locks.findOneAndUpdate({ _id: key, v: lockVersion }, update, { returnDocument: 'after' })
    // No upsert: that is a transaction of its own, for what is there already but once in the life of a key.
    const lock = (await find()) ?? (await this.#create(key).then(find))
    if (!lock) throw invalid(key)
    if (lock.lease?.id === claim.id) return { token: lock.token }
    const before = lock.queue.findIndex(({ id }) => id === claim.id)
    return { token: undefined, before: before < 0 ? undefined : before }
  }

  async takeFree(key: string, claim: Claim): Promise<number | undefined> {
    const options = { returnDocument: 'after', projection: { token: 1 } } as const
    const lock = await this.#locks.findOneAndUpdate({ _id: key, ...freeFilter } as never, freeUpdate(claim), options)
    return lock?.token
  }

  async renew(keys: readonly string[], { id, ttlMs }: Pick<Claim, 'id' | 'ttlMs'>): Promise<number> {
    return await this.#change(keys, id, [{ $set: { 'lease.until': inMs(ttlMs), at: noted } }])
  }

  async release(keys: readonly string[], id: string): Promise<number> {
    return await this.#change(keys, id, { $unset: { lease: true } })
  }

  async leave(key: string, id: string): Promise<void> {
    await this.#locks.updateOne({ _id: key, 'queue.id': id }, { $pull: { queue: { id } } } as never)
  }

  async read(key: string): Promise<LockState | undefined> {
    const [state] = await this.#states([{ $match: { _id: key } }])
    return state
  }

  async held(limit: number): Promise<LockState[]> {
    const isHeld = { $match: { $expr: isLive('$lease.until') } }
    return await this.#states([isHeld, { $sort: { 'lease.since': 1 } }, { $limit: limit }])
  }

  /** Without a date, as an insert knows only this process's clock: the attempt that follows sets it. */
  async #create(key: string): Promise<void> {
    const free = { _id: key, v: lockVersion, token: 0, queue: [] }
    await this.#locks.insertOne(free).catch((error: unknown) => {
      // Another process has, at the same moment.
      if (!(error instanceof Error && 'code' in error && error.code === duplicateKey)) throw error
    })
  }

  /** One document by the way of one: that is sent again by itself where it was held up. */
  async #change(keys: readonly string[], id: string, update: object): Promise<number> {
    const [key] = keys
    const own = { 'lease.id': id }
    const { matchedCount } =
      keys.length === 1 && key !== undefined
        ? await this.#locks.updateOne({ _id: key, ...own }, update as never)
        : await this.#locks.updateMany({ _id: { $in: [...keys] }, ...own }, update as never)
    return matchedCount
  }

  async #states(stages: object[]): Promise<LockState[]> {
    const msBetween = (later: string, earlier: string) => ({ $toDouble: { $subtract: [later, earlier] } })
    const holder = {
      owner: '$lease.owner',
      since: '$lease.since',
      ageMs: msBetween('$$NOW', '$lease.since'),
      leftMs: msBetween('$lease.until', '$$NOW'),
    }
    const shape = {
      _id: 0,
      key: '$_id',
      token: 1,
      holder: { $cond: [isLive('$lease.until'), holder, '$$REMOVE'] },
      waiting: { $size: { $filter: { input: '$queue', as: 'place', cond: isLive('$$place.until') } } },
    }
    return await this.#locks.aggregate<LockState>([...stages, { $project: shape }]).toArray()
  }
}

const invalid = (key: string) =>
  consistencyError(
    'LOCK_ROW_INVALID',
    `Lock ${key} has a document that is not of version ${lockVersion}: update this process, or see who else writes the collection`,
    { details: { key, version: lockVersion } },
  )
