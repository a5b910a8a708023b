import type { CreateCollectionOptions, Document } from 'mongodb'
import { bindCollection } from '../collection/collection.ts'
import type { Sessionless } from '../collection/options.ts'
import type { Door, MongoBinding, MongoScope } from '../door.ts'
import type { Settings } from '../options.ts'
import { refuseSession } from '../statement/call.ts'
import type { BlockedDocuments } from '../write/blocked-documents.ts'
import type { Turns } from '../write/turns.ts'
import { define } from './definition.ts'
import type { ServiceCollection } from './service-collection.ts'
import { readSnapshot, type SnapshotReader } from './snapshot.ts'

/**
 * The door for background work, index and collection definition, and change streams. Its statements use the service pool,
 * which ranks last: they may be waited for from anywhere, are never part of a transaction around them, and must wait for no
 * other work themselves. A cursor keeps none of its connections between two documents: behind a load balancer it is read to
 * its end at its first fetch, all of it in memory, so give it a `limit`.
 */
export interface ServiceDoor {
  collection<T extends Document = Document>(name: string): ServiceCollection<T>
  /**
   * Creates a collection that needs options of its own; one without comes into being with its first document. In short tries,
   * as the definition of indexes. @throws DEFINITION_REFUSED, DEFINITION_BLOCKED (both `not-applied`)
   */
  createCollection(name: string, options?: Sessionless<CreateCollectionOptions>): Promise<void>
  /**
   * Reads several collections of the store as they were at one moment, which is that of the first read; for some seconds, as long as
   * the server keeps it. No write is in it that a majority has not confirmed. @throws POOL_TIMEOUT, OPERATION_TIMEOUT, what `read` throws
   */
  snapshot<T>(read: (reader: SnapshotReader) => Promise<T>): Promise<T>
}

export class ServiceEntrance implements ServiceDoor, Door {
  readonly settings: Settings
  readonly isService = true
  readonly #level: Door

  constructor(level: Door) {
    this.#level = level
    this.settings = level.settings
  }

  get scope(): MongoScope {
    return this.#level.scope
  }

  get blocked(): BlockedDocuments {
    return this.#level.blocked
  }

  get turns(): Turns {
    return this.#level.turns
  }

  collection<T extends Document = Document>(name: string): ServiceCollection<T> {
    return bindCollection(this, name) as ServiceCollection<T>
  }

  async createCollection(name: string, options?: Sessionless<CreateCollectionOptions>): Promise<void> {
    const { database } = this.settings
    const what = `${name}.createCollection`
    refuseSession(options, what)
    const { session, ...given } = options ?? {}
    await define<unknown>(this, {
      what,
      userMs: options?.maxTimeMS,
      run: ({ pool }, { ms: maxTimeMS }) => pool.client.db(database).createCollection(name, { ...given, maxTimeMS }),
      done: undefined,
    })
  }

  snapshot<T>(read: (reader: SnapshotReader) => Promise<T>): Promise<T> {
    return readSnapshot(this, read)
  }

  bind(): MongoBinding {
    const scope = this.scope
    return {
      pool: scope.servicePool,
      level: -1,
      transaction: undefined,
      statement: (what, run) => scope.service(what, run),
      // A cursor of background work ends with its pool at the latest.
      onEnd: close => scope.servicePool.onClose(close),
    }
  }
}
