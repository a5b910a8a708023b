import type {
  Activity,
  BeginOptions,
  DatasourcePool,
  ErrorClass,
  OpenPoolOptions,
  TransactionLifetime,
} from '@strata/db-context'
import type { Collection, Document, MongoClient } from 'mongodb'
import { classify } from '../classify.ts'
import { isMeasured, observePool } from '../metrics.ts'
import type { Settings } from '../options.ts'
import { outsideAnyContext } from '../outside-any-context.ts'
import { Streams } from '../service/streams.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { serverUnreachable } from '../translate.ts'
import { createClient } from './client.ts'
import { readLifetime } from './lifetime.ts'
import { readTopology, type Topology } from './topology.ts'
import { MongoTransaction } from './transaction.ts'
import { ActivityPhases, PoolUsage } from './usage.ts'

const unused = { inUse: 0, waiting: 0 }

/** The client of one level. */
export class MongoPool implements DatasourcePool<MongoTransaction> {
  readonly client: MongoClient
  readonly settings: Settings
  readonly writeConcernTimeoutMs: number
  readonly sessions: Sessions
  readonly #phases: ActivityPhases | undefined
  readonly #usage: PoolUsage | undefined
  readonly #unobserve: () => void
  /** The change streams of the store; only those of the service pool are used. */
  readonly streams: Streams
  readonly #closers = new Set<() => Promise<void>>()
  /** By database and name: to join the two for each operation took a microsecond. */
  readonly #databases = new Map<string, Map<string, Collection<Document>>>()
  #topology: Topology | undefined
  #election: string | undefined
  #closed = false

  constructor(settings: Settings, { level, max, timeoutMs, unpermitted }: OpenPoolOptions, sessions: Sessions) {
    this.settings = settings
    this.sessions = sessions
    this.writeConcernTimeoutMs = settings.writeConcernTimeoutMs
    this.client = createClient(settings, { max, min: 1, timeoutMs, watched: unpermitted })
    // Under permits only metrics ask for it; its listeners are 1 % of an operation.
    this.#usage = unpermitted || isMeasured ? new PoolUsage(this.client) : undefined
    this.#unobserve = observePool(this, { datasource: settings.name, level })
    this.client.on('serverDescriptionChanged', ({ newDescription: { type, electionId } }) => {
      if (type === 'RSPrimary') this.#election = electionId?.toHexString()
    })
    this.streams = new Streams(settings, unpermitted ? this.client : undefined)
    this.#phases = unpermitted ? new ActivityPhases(this.client) : undefined
  }

  /** Known once `ready` has resolved. */
  get topology(): Topology | undefined {
    return this.#topology
  }

  /** Names the election that the current primary came from, as far as this process has seen. */
  get election(): string | undefined {
    return this.#election
  }

  /** @throws SERVER_UNREACHABLE, TOPOLOGY_UNSUPPORTED */
  async ready(): Promise<void> {
    const { startTimeoutMs } = this.settings
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(serverUnreachable('start', `no answer within startTimeoutMs (${startTimeoutMs} ms)`)),
      startTimeoutMs,
    )
    try {
      this.#topology = await Promise.race([outsideAnyContext(() => this.#connect()), late.promise])
    } catch (error) {
      // Ends the selection that goes on in the background; a later `ready` opens the client anew.
      await this.client.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  transactionLifetime(): Promise<TransactionLifetime> {
    return readLifetime(this.client, this.settings.startTimeoutMs)
  }

  begin(options: BeginOptions): MongoTransaction {
    return new MongoTransaction(this, options)
  }

  usage(): { readonly inUse: number; readonly waiting: number } {
    return this.#usage?.now ?? unused
  }

  classify(error: unknown): ErrorClass {
    return classify(error)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Calls `close` before the client is closed. Call the result to forget it. */
  onClose(close: () => Promise<void>): () => void {
    this.#closers.add(close)
    return () => this.#closers.delete(close)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#unobserve()
    await Promise.allSettled([...this.#closers].map(close => close()))
    await this.streams.close()
    await this.client.close()
  }

  collection(database: string, name: string): Collection<Document> {
    let collections = this.#databases.get(database)
    if (!collections) {
      collections = new Map()
      this.#databases.set(database, collections)
    }
    let collection = collections.get(name)
    if (!collection) {
      collection = this.client.db(database).collection(name)
      collections.set(name, collection)
    }
    return collection
  }

  /** Runs what sends a command, so that `activity` shows whether the driver keeps it waiting. */
  send<T>(activity: Activity, send: () => Promise<T>): Promise<T> {
    return this.#phases ? this.#phases.run(activity, send) : send()
  }

  async #connect(): Promise<Topology> {
    await this.client.connect()
    return await readTopology(this.client, this.settings.startTimeoutMs)
  }
}
