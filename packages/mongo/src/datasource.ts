import { type Datasource, dbContextError, type OpenPoolOptions, type PoolLimits } from '@strata/db-context'
import type { Document } from 'mongodb'
import type { BoundCollection } from './collection/bound-collection.ts'
import { bindCollection } from './collection/collection.ts'
import { LevelDoor, type MongoScope } from './door.ts'
import { type MongoDatasourceOptions, readSettings, type Settings, sharedSettings } from './options.ts'
import { MongoPool } from './pool/pool.ts'
import type { MongoTransaction } from './pool/transaction.ts'

/** A MongoDB database whose operations run at the level, and in the transaction, in which they are called. */
export interface MongoDatasource extends Datasource<MongoPool, MongoTransaction> {
  /** A collection bound to whatever level and transaction surrounds each call. Usable before any context exists. */
  collection<T extends Document = Document>(name: string): BoundCollection<T>
}

/**
 * Makes a datasource; nothing is connected before the context that lists it starts. Datasources of the same URL are one
 * store and share its pools, whatever their databases.
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
  readonly #settings: Settings
  readonly #door: LevelDoor

  constructor(settings: Settings) {
    this.name = settings.name
    this.key = settings.key
    this.pool = settings.pool
    this.#settings = settings
    this.#door = new LevelDoor(settings)
  }

  collection<T extends Document = Document>(name: string): BoundCollection<T> {
    return bindCollection<T>(this.#door, name)
  }

  openPool(options: OpenPoolOptions): MongoPool {
    return new MongoPool(this.#settings, options)
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
