import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import type { Held } from '../outcome.ts'

/** A look that takes longer tells nothing. */
const lookMs = 3000

/** What the servers know of a run: they count what no process of it would own up to. */
export class ServerLook implements AsyncDisposable {
  readonly #run: string
  readonly #mongo: MongoClient
  readonly #redis: Redis

  constructor({ mongoUrl, redisUrl, run }: { mongoUrl: string; redisUrl: string; run: string }) {
    this.#run = run
    this.#mongo = new MongoClient(mongoUrl, { appName: 'strata-lab-look', serverSelectionTimeoutMS: lookMs })
    this.#redis = new Redis(redisUrl, { lazyConnect: true, commandTimeout: lookMs })
  }

  async held(): Promise<Pick<Held, 'transactions' | 'operations' | 'slots'>> {
    const [operations, slots] = await Promise.all([this.#operations(), this.#slots()])
    return {
      transactions: operations.filter(isOpen).length,
      operations: operations.filter(each => !isOpen(each) && each.active && !isMonitor(each)).length,
      slots,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect()
    await this.#mongo.close()
  }

  /** Of this run's clients alone: the server may be used by others too, so its own totals are of no use. */
  #operations(): Promise<Operation[]> {
    const stages = [{ $currentOp: { idleSessions: true, allUsers: true } }, { $match: { appName: this.#run } }]
    return this.#mongo.db('admin').aggregate<Operation>(stages, { maxTimeMS: lookMs }).toArray()
  }

  /** An active job whose lock has run out is kept for nobody: the next worker that comes takes it. */
  async #slots(): Promise<number> {
    const active = `${this.#run}:*:active`
    let held = 0
    for await (const keys of this.#redis.scanStream({ match: active, count: 1000 }) as AsyncIterable<string[]>) {
      for (const key of new Set(keys)) {
        const locks = (await this.#redis.lrange(key, 0, -1)).map(id => key.replace(/active$/, `${id}:lock`))
        if (locks.length > 0) held += await this.#redis.exists(...locks)
      }
    }
    return held
  }
}

interface Operation {
  readonly active: boolean
  readonly transaction?: { readonly parameters?: { readonly autocommit?: boolean } }
  readonly command?: Readonly<Record<string, unknown>>
}

/** A write that the driver may send again has such a number too, and is no transaction. */
const isOpen = ({ transaction }: Operation): boolean => transaction?.parameters?.autocommit === false

/** The drivers' own questions for the primary wait on the server all the time. */
const isMonitor = ({ command = {} }: Operation): boolean =>
  ['hello', 'isMaster', 'ismaster'].some(name => name in command)
