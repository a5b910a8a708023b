import type { Servers } from '@strata/testkit'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { documents, type Tally } from './contract.ts'
import { database } from './participant.ts'

/** Looks at the servers, on two connections that count among theirs and stay the same. */
export class ServerWatch implements AsyncDisposable {
  readonly #redis: Redis
  readonly #mongo: MongoClient

  constructor({ redisUrl, mongoUrl }: Servers) {
    this.#redis = new Redis(redisUrl)
    this.#mongo = new MongoClient(mongoUrl, { maxPoolSize: 1, minPoolSize: 1 })
  }

  /** Makes the documents that calls write: inserts in the middle of the span would be growth. */
  async prepare(): Promise<void> {
    const fresh = Array.from({ length: documents }, (_, _id) => ({ _id, count: 0 }))
    for (const name of ['tallies', 'requests']) await this.#collection(name).insertMany(fresh)
  }

  async look(): Promise<Record<string, number>> {
    const [keys, memory, clients, status] = await Promise.all([
      this.#redis.dbsize(),
      this.#redis.info('memory'),
      this.#redis.info('clients'),
      this.#mongo.db('admin').command({ serverStatus: 1 }),
    ])
    return {
      'redis.keys': keys,
      'redis.memoryBytes': infoNumber(memory, 'used_memory'),
      'redis.clients': infoNumber(clients, 'connected_clients'),
      'mongo.connections': Number(status['connections']?.current),
    }
  }

  /** How many effects the deepest jobs have left. */
  async applied(): Promise<number> {
    const [sum] = await this.#collection('tallies')
      .aggregate<{ count: number }>([{ $group: { _id: null, count: { $sum: '$count' } } }])
      .toArray()
    return sum?.count ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect()
    await this.#mongo.close()
  }

  #collection(name: string) {
    return this.#mongo.db(database).collection<Tally>(name)
  }
}

function infoNumber(info: string, field: string): number {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? Number.NaN)
}
