import {
  type Datasource,
  dbContextError,
  type OpenPoolOptions,
  type PoolClaim,
  type PoolLimits,
} from '@strata/db-context'
import type { Document } from 'mongodb'
import { Membership } from './budget/membership.ts'
import type { BoundCollection } from './collection/bound-collection.ts'
import { bindCollection } from './collection/collection.ts'
import { LevelDoor, type MongoScope } from './door.ts'
import { mongoErrors } from './errors.ts'
import { type MongoDatasourceOptions, readSettings, type Settings, sharedSettings } from './options.ts'
import { MongoPool } from './pool/pool.ts'
import type { MongoTransaction } from './pool/transaction.ts'
import { type ServiceDoor, ServiceEntrance } from './service/service-door.ts'
import { Sessions } from './sessions/sessions.ts'

/** A MongoDB database whose operations run at the level, and in the transaction, in which they are called. */
export interface MongoDatasource extends Datasource<MongoPool, MongoTransaction> {
  /** A collection bound to whatever level and transaction surrounds each call. Usable before any context exists. */
  collection<T extends Document = Document>(name: string): BoundCollection<T>
  /** Background work, index and collection definition, and change streams, on connections of their own. */
  readonly service: ServiceDoor
}

/**
 * Makes a datasource; nothing is connected before the context that lists it starts. Datasources with the same hosts, user
 * and options in their URLs are one store and share its pools, whatever their databases. Hosts are compared as written:
 * `localhost` is another than `127.0.0.1`.
 *
 * @throws CONFIG
 */
export function mongoDatasource(options: MongoDatasourceOptions): MongoDatasource {
  return new MongoStore(readSettings(options))
}

class MongoStore implements MongoDatasource {
  readonly name: string
  readonly key: string
  readonly pool: PoolLimits
  readonly service: ServiceDoor
  readonly #settings: Settings
  readonly #door: LevelDoor
  readonly #membership = new Membership()
  readonly #sessions = new Sessions()
  readonly #pools: MongoPool[] = []

  constructor(settings: Settings) {
    this.name = settings.name
    this.key = settings.key
    this.pool = settings.pool
    this.#settings = settings
    this.#door = new LevelDoor(settings)
    this.service = new ServiceEntrance(this.#door)
  }

  collection<T extends Document = Document>(name: string): BoundCollection<T> {
    return bindCollection<T>(this.#door, name)
  }

  get errorCodes(): string[] {
    return Object.keys(mongoErrors)
  }

  openPool(options: OpenPoolOptions): MongoPool {
    const pool = new MongoPool(this.#settings, options, this.#sessions)
    this.#pools.push(pool)
    return pool
  }

  /** @throws CONNECTION_BUDGET, BUDGET_UNREADABLE, SERVER_UNREACHABLE, TOPOLOGY_UNSUPPORTED */
  async admit({ connections, service, processes }: PoolClaim<MongoPool>): Promise<() => Promise<void>> {
    const { streamsMax, connectionsMax } = this.#settings
    await service.ready()
    // Each client has a monitor beside its pool, and the change streams are a client of their own.
    const wanted = connections + streamsMax + this.#pools.length + 1
    const { client } = service
    const leave = await this.#membership.enter({ client, wanted, processes, limit: connectionsMax })
    if (!this.#door.scope.isolated) return leave
    try {
      const end = await this.#sessions.start(
        client,
        this.#pools.filter(pool => pool !== service).map(pool => pool.client),
      )
      return async () => void (await Promise.allSettled([leave(), end()]))
    } catch (error) {
      await leave().catch(() => {})
      throw error
    }
  }

  /** @throws CONFIG */
  attach(scope: MongoScope): void {
    checkAttach(this.#settings, this.#door, scope)
    this.#door.attach(scope)
  }
}

function checkAttach(settings: Settings, door: LevelDoor, scope: MongoScope): void {
  if (door.isAttached) {
    throw dbContextError('CONFIG', `Datasource ${settings.name} belongs to a context already: make one for each`)
  }
  const shared = scope.servicePool.settings
  if (sharedSettings(shared) === sharedSettings(settings)) return
  throw dbContextError(
    'CONFIG',
    `Datasources ${shared.name} and ${settings.name} are one store and share its pools: give them equal pools and bounds`,
    { details: { datasources: [shared.name, settings.name] } },
  )
}
