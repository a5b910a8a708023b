import type {
  BeginOptions,
  Datasource,
  DatasourcePool,
  DatasourceTransaction,
  ErrorClass,
  OpenPoolOptions,
  PoolLimits,
  StatementScope,
  StatementTarget,
  TransactionLifetime,
} from '../datasource.ts'
import { deadlineIn } from '../deadline.ts'
import { type Permit, Permits } from '../permits.ts'
import { dbContextError } from '../registry.ts'
import { FakeStore } from './fake-store.ts'

/** What the fake's server says to a transaction that meets another's write, as MongoDB does with code 112. */
class WriteConflict extends Error {}

type FakeTarget = StatementTarget<FakePool, FakeTransaction>

export interface FakeOptions {
  readonly name?: string
  /** Two fakes over one store are one server. */
  readonly store?: FakeStore
  readonly pool?: Partial<PoolLimits>
  /** What its server says of the lifetime of transactions; nothing by default. */
  readonly lifetime?: TransactionLifetime
}

/**
 * A datasource in memory that behaves as MongoDB does behind a load balancer: a transaction keeps its connection, a plain write
 * of a document that a transaction has written waits on its connection, a transaction's write of it fails at once. It
 * passes the same conformance suite as the real adapter, and is for unit tests and models only.
 */
export class FakeDatasource implements Datasource<FakePool, FakeTransaction> {
  readonly name: string
  readonly key: string
  readonly pool: PoolLimits
  readonly store: FakeStore
  readonly pools: FakePool[] = []
  readonly #lifetime: TransactionLifetime | undefined
  #scope: StatementScope<FakePool, FakeTransaction> | undefined

  constructor(options: FakeOptions = {}) {
    this.name = options.name ?? 'fake'
    this.store = options.store ?? new FakeStore()
    this.key = this.name
    this.pool = { max: 1, timeoutMs: 1000, serviceMax: 1, ...options.pool }
    this.#lifetime = options.lifetime
  }

  openPool(options: OpenPoolOptions): FakePool {
    const pool = new FakePool(this.store, options, this.#lifetime)
    this.pools.push(pool)
    return pool
  }

  attach(scope: StatementScope<FakePool, FakeTransaction>): void {
    this.#scope = scope
  }

  /** Adds to a counter. */
  async add(key: string, by = 1): Promise<void> {
    const binding = this.#bind()
    await binding.statement(`add ${key}`, target => target.pool.add(target, { key, by }))
    if (!binding.transaction) binding.wrote({ collection: this.key, ids: [key], isComplete: true, areNew: false })
  }

  async read(key: string): Promise<number> {
    return await this.#bind().statement(`read ${key}`, target => target.pool.read(target, key))
  }

  /** Runs on a connection of the current level until `body` settles. */
  async occupy<T>(body: (target: FakeTarget) => Promise<T>): Promise<T> {
    return await this.#bind().statement('occupy', target => target.pool.use(target, () => body(target)))
  }

  /** Keeps a connection of the current level for the scope, as a pinned cursor does. */
  async hold(): Promise<{ release(): void }> {
    return await this.#bind().hold('fake cursor')
  }

  /** What a cursor keeps of the scope that it is made in. */
  cursor() {
    const binding = this.#bind()
    return { hold: () => binding.hold('fake cursor'), onEnd: (close: () => Promise<void>) => binding.onEnd(close) }
  }

  async background<T>(body: () => Promise<T>): Promise<T> {
    return await this.#attached().service('background', target => target.pool.use(target, body))
  }

  #bind() {
    return this.#attached().bind()
  }

  #attached() {
    if (!this.#scope) throw dbContextError('CONTEXT_MISSING', `Datasource ${this.name} belongs to no context`)
    return this.#scope
  }
}

export class FakePool implements DatasourcePool<FakeTransaction> {
  readonly store: FakeStore
  readonly connections: Permits
  /** What each transaction was begun with. */
  readonly begun: BeginOptions[] = []
  readonly #timeoutMs: number
  readonly #lifetime: TransactionLifetime | undefined

  constructor(store: FakeStore, options: OpenPoolOptions, lifetime: TransactionLifetime | undefined) {
    this.store = store
    this.connections = new Permits(options.max)
    this.#timeoutMs = options.timeoutMs
    this.#lifetime = lifetime
  }

  async transactionLifetime(): Promise<TransactionLifetime> {
    return this.#lifetime ?? { ms: Number.POSITIVE_INFINITY, assumed: undefined }
  }

  async ready(): Promise<void> {}

  async close(): Promise<void> {}

  usage() {
    return { inUse: this.connections.inUse, waiting: this.connections.waiting }
  }

  begin(options: BeginOptions): FakeTransaction {
    this.begun.push(options)
    return new FakeTransaction(this)
  }

  classify(error: unknown): ErrorClass {
    const conflict = error instanceof WriteConflict
    return { transient: conflict, conflict, endsTransaction: conflict }
  }

  connect(): Promise<Permit> {
    return this.connections.acquire({
      deadline: deadlineIn(this.#timeoutMs),
      signal: undefined,
      refuse: () => dbContextError('POOL_TIMEOUT', `No connection of the fake within ${this.#timeoutMs} ms`),
    })
  }

  async use<T>(target: FakeTarget, body: () => Promise<T>): Promise<T> {
    if (target.transaction) {
      await target.transaction.connect()
      return await body()
    }
    target.activity.phase = 'connecting'
    const connection = await this.connect()
    target.activity.phase = 'running'
    try {
      return await body()
    } finally {
      connection.release()
    }
  }

  read(target: FakeTarget, key: string): Promise<number> {
    return this.use(target, async () => {
      await turn()
      return target.transaction?.written.get(key) ?? this.store.read(key)
    })
  }

  add(target: FakeTarget, change: { key: string; by: number }): Promise<void> {
    return this.use(target, async () => {
      await turn()
      if (target.transaction) target.transaction.add(change)
      else await this.#addPlain(change)
    })
  }

  async #addPlain({ key, by }: { key: string; by: number }): Promise<void> {
    for (let held = this.store.blockedBy(key, this); held; held = this.store.blockedBy(key, this)) await held
    this.store.apply(new Map([[key, this.store.read(key) + by]]))
  }
}

export class FakeTransaction implements DatasourceTransaction {
  readonly written = new Map<string, number>()
  readonly #pool: FakePool
  #connection: Promise<Permit> | undefined

  constructor(pool: FakePool) {
    this.#pool = pool
  }

  connect(): Promise<Permit> {
    this.#connection ??= this.#pool.connect()
    return this.#connection
  }

  add({ key, by }: { key: string; by: number }): void {
    const { store } = this.#pool
    if (store.blockedBy(key, this) !== undefined) throw new WriteConflict(`Another transaction has written ${key}`)
    store.lock(key, this)
    this.written.set(key, (this.written.get(key) ?? store.read(key)) + by)
  }

  async commit(): Promise<void> {
    await turn()
    this.#pool.store.apply(this.written)
    this.#pool.store.unlock(this)
  }

  async abort(): Promise<void> {
    this.#pool.store.unlock(this)
  }

  async end(): Promise<void> {
    const connection = await this.#connection
    connection?.release()
  }
}

/** One trip to the server. */
const turn = () => new Promise<void>(resolve => setImmediate(resolve))
