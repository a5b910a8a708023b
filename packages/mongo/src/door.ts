import { dbContextError, type StatementBinding, type StatementHold, type StatementScope } from '@strata/db-context'
import type { Settings } from './options.ts'
import type { MongoPool } from './pool/pool.ts'
import type { MongoTransaction } from './pool/transaction.ts'
import { BlockedDocuments } from './write/blocked-documents.ts'
import { Turns } from './write/turns.ts'

export type MongoScope = StatementScope<MongoPool, MongoTransaction>
type LevelBinding = StatementBinding<MongoPool, MongoTransaction>

type OfLevels = 'hold' | 'poolWait' | 'wrote' | 'blocked' | 'heldUp'

/** Work on the service pool keeps no connection between two statements, waits for each by itself, and has no transaction. */
export type MongoBinding = Omit<LevelBinding, OfLevels> & Partial<Pick<LevelBinding, OfLevels>>
export type MongoHold = StatementHold<MongoPool, MongoTransaction>

/** Where the operations of a collection are taken: to the level they are called at, or to the service pool. */
export interface Door {
  readonly settings: Settings
  /** True for the service door, which alone lets index definition and change streams through. */
  readonly isService: boolean
  readonly scope: MongoScope
  /** The documents that keep writes of this process waiting. */
  readonly blocked: BlockedDocuments
  /** The order of writes of this process to one document. */
  readonly turns: Turns
  /** @throws CONTEXT_MISSING, CONTEXT_ENDED, OTHER_DATASOURCE, TRANSACTION_ENDED */
  bind(): MongoBinding
}

/** The door of the current level; it leads somewhere once the datasource belongs to a context. */
export class LevelDoor implements Door {
  readonly settings: Settings
  readonly isService = false
  readonly blocked = new BlockedDocuments()
  readonly turns = new Turns()
  #scope: MongoScope | undefined

  constructor(settings: Settings) {
    this.settings = settings
  }

  attach(scope: MongoScope): void {
    this.#scope = scope
  }

  /** True while the context that it belongs to runs; after its end another may take it. */
  get isAttached(): boolean {
    return this.#scope !== undefined && !this.#scope.servicePool.isClosed
  }

  get scope(): MongoScope {
    if (this.#scope) return this.#scope
    const { name } = this.settings
    throw dbContextError('CONTEXT_MISSING', `Datasource ${name} belongs to no context: list it in createDbContext`, {
      details: { datasource: name },
    })
  }

  bind(): MongoBinding {
    return this.scope.bind()
  }
}
