import type { Deadline } from './deadline.ts'
import type { DeclaredProcesses } from './options.ts'
import type { PoolWait } from './wait.ts'
import type { DocumentSet } from './writes.ts'

/**
 * The port between levels and a database. An adapter opens the connections of one level and runs transactions on them;
 * who may use them, and when, is decided on this side. The suite in `@strata/db-context/conformance` says what an adapter
 * has to satisfy.
 */
export interface Datasource<
  Pool extends DatasourcePool = DatasourcePool,
  Tx extends DatasourceTransaction = DatasourceTransaction,
> {
  /** Unique in a context. */
  readonly name: string
  /** Datasources with the same key are one store: they share one pool a level, so neither can starve behind the other. */
  readonly key: string
  readonly pool: PoolLimits
  /** Codes of the adapter's own errors, beside those of db-context: what they say of an outcome is about one operation. */
  readonly errorCodes?: readonly string[]
  /** Opens the connections of one level. Returns at once; connecting goes on in `ready`. Called once a level and key. */
  openPool(options: OpenPoolOptions): Pool
  /** Hands the datasource the context that it belongs to; called once, by `createDbContext`. */
  attach(scope: StatementScope<Pool, Tx>): void
  /**
   * Checks, before any pool is opened, that the server can hold `connections` more of this process beside those of every
   * other one, started or declared, and keeps them registered until the returned function is called. Rejects with a typed error.
   */
  admit?(claim: PoolClaim<Pool>): Promise<() => Promise<void>>
}

/** What one process asks of one store. */
export interface PoolClaim<Pool> {
  /** The permits of all its pools. */
  readonly connections: number
  readonly service: Pool
  /** How many processes ask for the same; undefined where that was not declared. */
  readonly processes: DeclaredProcesses | undefined
}

export interface PoolLimits {
  /** Connections a level: the number of permits. */
  readonly max: number
  /** The longest wait for a permit, in milliseconds. */
  readonly timeoutMs: number
  /** Connections of the service pool. */
  readonly serviceMax: number
}

export interface OpenPoolOptions {
  readonly level: number | 'service'
  readonly max: number
  readonly timeoutMs: number
  /** True when permits are off: then the adapter's own wait queue is what a caller waits in, and must be bounded. */
  readonly unpermitted: boolean
}

/** The connections of one level of one store. */
export interface DatasourcePool<Tx extends DatasourceTransaction = DatasourceTransaction> {
  /** Resolves when one connection stands; rejects with a typed error when the server cannot be used. */
  ready(): Promise<void>
  /** Asks the server how long it lets a transaction live; called once a store, when the pool is ready. Absent: without end. */
  transactionLifetime?(): Promise<TransactionLifetime>
  /** Begins a transaction that keeps its connection to itself. Sends nothing yet. @throws CONFIG for concerns it has not */
  begin(options: BeginOptions): Tx
  /** What the driver itself has checked out and keeps waiting; asked for without permits only, under which nobody waits here. */
  usage(): { readonly inUse: number; readonly waiting: number }
  /** Reads an error of a statement, a commit or an abort. */
  classify(error: unknown): ErrorClass
  close(): Promise<void>
}

export interface BeginOptions {
  readonly id: string
  /** True when an attempt of the same transaction was rolled back before. */
  readonly isRepeated?: boolean
  readonly deadline: Deadline
  /** The transaction's own entry in the ledger: its commit and abort may wait for one of the driver's connections. */
  readonly activity: Activity
  /** What was asked of it; the adapter's defaults hold for the rest. */
  readonly concerns?: TransactionConcerns
}

/** What a transaction reads and how its commit is confirmed, in the words of MongoDB; another store refuses what it has not. */
export interface TransactionConcerns {
  /** Default: the adapter's, for MongoDB `snapshot`. */
  readonly readConcern?: 'local' | 'majority' | 'snapshot'
  /** Default: the adapter's, for MongoDB `{ w: 'majority' }`. With less, a commit that was reported may still be lost. */
  readonly writeConcern?: { readonly w?: number | 'majority'; readonly journal?: boolean }
}

/** How long the server lets a transaction live. */
export interface TransactionLifetime {
  readonly ms: number
  /** Why the server could not be asked, so that `ms` is an assumption; undefined when it answered. */
  readonly assumed: unknown
}

export interface DatasourceTransaction {
  /** Asked before each statement: a promise when something has to be done before it may be sent. */
  ready?(): Promise<void> | undefined
  /** Rejects with a plain error when nothing was applied, with `COMMIT_UNKNOWN` when that cannot be told. */
  commit(): Promise<void>
  /** Never rejects for a transaction that the server no longer has. */
  abort(): Promise<void>
  /** Gives back the connection and all that is bound to it. Called exactly once, after `commit` or `abort`. */
  end(): Promise<void>
}

export interface ErrorClass {
  /** The whole transaction may be run again: the server applied nothing of it. */
  readonly transient: boolean
  /** A transient error that comes from another holder of a document, not from the network or an election. */
  readonly conflict: boolean
  /** What a conflict was about where it was no document: what the server had too few of, such as `write tickets`. */
  readonly lack?: string
  /** The server has given up the transaction in which this error came up. */
  readonly endsTransaction: boolean
}

/** Where a statement is to run; made for one statement. */
export interface StatementTarget<Pool, Tx> {
  readonly pool: Pool
  readonly level: number
  /** The transaction to run in; without one the statement stands alone and holds a permit. */
  readonly transaction: Tx | undefined
  readonly deadline: Deadline
  readonly signal: AbortSignal
  readonly activity: Activity
}

/** What one statement is doing at this moment, for the ledger. */
export interface Activity {
  /**
   * `queued` waits for a permit, `connecting` for one of the driver's own connections, `running` for the server;
   * `holding` is a transaction that has its connection.
   */
  phase: 'queued' | 'connecting' | 'running' | 'holding'
  readonly root: string
  readonly unit: string
  readonly level: number
  readonly datasource: string
  readonly what: string
  readonly since: number
}

/** What a datasource sees of its context. */
export interface StatementScope<Pool, Tx> {
  /** Binds to the current level and transaction. @throws CONTEXT_MISSING, CONTEXT_ENDED, OTHER_DATASOURCE, TRANSACTION_ENDED */
  bind(): StatementBinding<Pool, Tx>
  /**
   * Runs a statement on the service pool, with or without a unit of work around it. It ranks last: it may be waited for
   * from anywhere, and waits for nothing itself.
   */
  service<T>(what: string, run: (target: StatementTarget<Pool, Tx>) => Promise<T>): Promise<T>
  /** The pool of the service connections, for what outlives a statement (change streams). */
  readonly servicePool: Pool
  /** Who waits for the current work, in words: an open transaction around it, or its caller; undefined where nobody does. */
  awaitedBy(): string | undefined
  /** The longest wait for documents that other work holds, in milliseconds. */
  readonly lockWaitMs: number
  /** False under `isolation: 'none'`: no permits, no slices. */
  readonly isolated: boolean
}

/** The level and transaction that one operation was called at; a cursor keeps it from its creation to its close. */
export interface StatementBinding<Pool, Tx> {
  readonly pool: Pool
  readonly level: number
  readonly transaction: Tx | undefined
  /**
   * Runs one statement: in the transaction, after the statements before it have settled, or with a permit of the pool.
   *
   * @throws POOL_TIMEOUT, HOLD_AND_WAIT, LEVEL_ORDER, TRANSACTION_ENDED, CONTEXT_ENDED (outcome `not-applied`)
   */
  statement<T>(what: string, run: (target: StatementTarget<Pool, Tx>) => Promise<T>, wait?: PoolWait): Promise<T>
  /** One allowance of `pool.timeoutMs` for several statements of one operation. */
  poolWait(): PoolWait
  /** Takes a permit and keeps it for the scope, as an open cursor does whose connection is pinned. */
  hold(what: string): Promise<StatementHold<Pool, Tx>>
  /** Notes the documents of a write that got through: in a transaction they are held until it ends. */
  wrote(documents: WrittenDocuments): void
  /**
   * What becomes of a write that cannot go on because other work holds its document: the error that it has to end with at
   * once (`ANCESTOR_LOCK`, `LOCK_BLOCKED`), or undefined while it may wait.
   */
  blocked(write: BlockedWrite): Error | undefined
  /**
   * To be called with the `LOCK_TIMEOUT` that a write outside a transaction ends with: the outermost transaction around it is then
   * run again, if its body throws this error.
   */
  heldUp(error: Error): void
  /** Calls `close` before the transaction, or else the unit of work, ends. Call the result to forget it. */
  onEnd(close: () => Promise<void>): () => void
}

export interface WrittenDocuments extends DocumentSet {
  /** True for inserts with ids that were made for them: nobody can have waited for those, nor they for anybody. */
  readonly areNew?: boolean
}

/** A write that has applied nothing so far. */
export interface BlockedWrite {
  readonly what: string
  readonly documents: DocumentSet
  /** How long it has been blocked, in milliseconds. */
  readonly blockedMs: number
  /** True when it has waited as long as it may. */
  readonly isOver: boolean
  /** What the server said. */
  readonly cause: unknown
}

/** A permit that outlives a statement. */
export interface StatementHold<Pool, Tx> {
  /** Runs a statement with this permit. @throws CONTEXT_ENDED, CONTEXT_MISSING */
  statement<T>(what: string, run: (target: StatementTarget<Pool, Tx>) => Promise<T>): Promise<T>
  release(): void
}
