import type { Chain } from './chain.ts'
import { Context } from './context.ts'
import { currentChain } from './current-chain.ts'
import type { Activity } from './datasource.ts'
import { hookOwner } from './hooks.ts'
import type { LockLevel } from './lock-levels.ts'
import type { Locks } from './locks.ts'
import type { ContextOptions, Isolation } from './options.ts'
import type { PoolState } from './pool.ts'
import type { Propagator } from './propagator.ts'
import { dbContextError } from './registry.ts'
import { innermostTransaction } from './scope.ts'
import type { BeginTransactionOptions } from './terms.ts'
import type { Transaction } from './transaction.ts'

export interface RunOptions {
  /** Gives the unit of work up: it rejects with `ABORTED`, and its statements are refused from then on. */
  readonly signal?: AbortSignal
  /** Milliseconds until it is given up with `DEADLINE_EXCEEDED`; none by default. */
  readonly deadlineMs?: number
  /**
   * What `propagator.inject()` wrote in the service that called this one: the unit begins at its level, in its chain, and ends by
   * its deadline. From trusted peers only: whoever may send it chooses the level. `HEADER_INVALID` when it cannot be read.
   */
  readonly header?: string
  /** Names it in chains and errors; default `run`. */
  readonly name?: string
}

export interface SwitchOptions {
  /** The current level (the default), which keeps the transaction, or a deeper one, which is outside it. */
  readonly level?: number
  /** The datasource of statements and transactions inside; those of others stay what they are. */
  readonly datasource?: string
}

/** Where the calling code stands. */
export interface Current {
  /** 0 in a request, n in work that is awaited n deep. */
  readonly level: number
  readonly transaction: CurrentTransaction | undefined
  /** The work that awaits this work, outermost first, and this work last. */
  readonly chain: Chain
  /** Aborted when the unit of work is given up. */
  readonly signal: AbortSignal
}

export interface CurrentTransaction {
  /** The same in each attempt of its body, and of no other transaction. */
  readonly id: string
  readonly name: string | undefined
  /** When its first attempt began, by the wall clock; the same in each attempt, so that a repeated body need not diverge. */
  readonly now: Date
  readonly datasource: string
  /** Aborted when the transaction is rolled back. */
  readonly signal: AbortSignal
}

/**
 * Levels, transactions and bounded waits over a set of datasources.
 *
 * Guaranteed: whoever holds a connection of level n waits only for deeper ones, so pools cannot deadlock, whatever their
 * size; every wait ends, with a typed error at the latest at its bound. Not guaranteed: order between documents (a
 * transaction that waits for work which writes what it has written itself), and anything under `isolation: 'none'`.
 */
export interface DbContext extends AsyncDisposable {
  readonly isolation: Isolation
  readonly levelsMax: number
  /** @throws CONTEXT_MISSING outside a unit of work, CONTEXT_ENDED after its end (both `not-applied`) */
  readonly current: Current
  /**
   * Opens every pool, one connection each, and checks them against the servers' limits. Optional: the first unit of work
   * does it. @throws what the datasource finds: an unreachable server, CONNECTION_BUDGET
   */
  start(): Promise<void>
  /**
   * Runs `fn` as a unit of work: a fresh context at level 0, whatever surrounds it. What a live unit around it holds still
   * counts: waiting behind it is `HOLD_AND_WAIT`. @throws STOPPED, ABORTED, DEADLINE_EXCEEDED
   */
  run<T>(fn: () => Promise<T>, options?: RunOptions): Promise<T>
  /** Runs `fn` at the current level or a deeper one. @throws LEVEL_INVALID, LEVEL_LIMIT, LEVEL_ORDER, DATASOURCE_UNKNOWN */
  switchDb<T>(fn: () => Promise<T>, options?: SwitchOptions): Promise<T>
  /** Runs `fn` one level deeper: outside the current transaction, on connections of its own. @throws LEVEL_LIMIT */
  switchDbIsolate<T>(fn: () => Promise<T>): Promise<T>
  readonly transaction: {
    /**
     * Runs `fn` in a transaction and commits it; an error of `fn` rolls back and is rethrown. When this resolves the commit is
     * applied (majority), the connection is given back and the `afterCommit` hooks have run. A transient failure runs `fn`
     * again, unless that would repeat effects outside (`RETRY_UNSAFE`). Inside an open transaction of the same datasource and
     * level it joins that one, which can then only be rolled back when `fn` fails; `propagation` chooses otherwise.
     *
     * @throws POOL_TIMEOUT, TRANSACTION_TIMEOUT, LOCK_TIMEOUT, RETRIES_EXHAUSTED, ROLLBACK_ONLY, NOT_AN_ERROR, CONFIG,
     * TRANSACTION_ENDED, TRANSACTION_REQUIRED, TRANSACTION_NOT_ALLOWED, PROPAGATION_UNSUPPORTED, LEVEL_LIMIT (all
     * `not-applied`), RETRY_UNSAFE, COMMIT_UNKNOWN (`unknown`)
     */
    begin<T>(fn: () => Promise<T>, options?: BeginTransactionOptions): Promise<T>
    /**
     * Runs last in the current transaction, also where a joined body asks for it: after the outermost body has resolved and before
     * the commit, in the order of registration. A failure rolls back. What must be written late goes here, so that its documents
     * are not held while the body awaits other work. @throws TRANSACTION_MISSING, TRANSACTION_ENDED
     */
    beforeCommit(fn: () => unknown): void
    /**
     * Runs after the commit, with the connection given back; a failure is reported and changes nothing. In a body that `begin`
     * runs without a transaction: after it has resolved. @throws TRANSACTION_MISSING, TRANSACTION_ENDED
     */
    afterCommit(fn: () => unknown): void
    /** Runs after the last attempt was rolled back; without a transaction, after the body has rejected. @throws as above */
    afterRollback(fn: () => unknown): void
    /**
     * Lets the current transaction only be rolled back: its `begin` then rejects with `ROLLBACK_ONLY`, with `reason` as the
     * cause, also when its body resolves. @throws TRANSACTION_MISSING, TRANSACTION_ENDED
     */
    setRollbackOnly(reason?: unknown): void
  }
  /** The pools of this process as they stand. */
  pools(): PoolState[]
  /** The statements and transactions under way in this process. */
  activities(): Activity[]
  /**
   * Where each collection is held across a wait and where it is written, as far as this process has seen. One that is written
   * deeper than it is held is reported once (`LOCK_ORDER`, to `report`), before anything hangs.
   */
  lockLevels(): LockLevel[]
  /** For the queue: carries the context between processes. */
  readonly propagator: Propagator
  /** For locks over processes: keeps them within the one rule. */
  readonly locks: Locks
  /**
   * Takes no new units, waits for those that run, aborts what is left after `deadlineMs` (default 10,000) and closes the
   * pools. Idempotent; allowed before `start`.
   */
  stop(options?: { readonly deadlineMs?: number }): Promise<void>
}

const stopDeadlineMsDefault = 10_000

/** Makes a context over datasources; nothing is opened before `start` or the first unit of work. @throws CONFIG */
export function createDbContext(options: ContextOptions): DbContext {
  const context = new Context(options)
  let stopping: Promise<void> | undefined
  const close = async (deadlineMs: number) => {
    await context.units.stop(deadlineMs)
    await context.startup.stop()
  }
  const db: DbContext = {
    isolation: context.options.isolated ? 'levels' : 'none',
    levelsMax: context.options.levelsMax,
    get current() {
      return readCurrent(context)
    },
    start: () => context.startup.start(),
    run: async (fn, { name = 'run', ...rest } = {}) => await context.runRoot(fn, { name, ...rest }),
    switchDb: async (fn, to = {}) => await context.switch(fn, to),
    switchDbIsolate: async fn => await context.switch(fn, { level: context.require().level + 1 }),
    transaction: {
      begin: (body, work = {}) => {
        try {
          const scope = context.require()
          const datasource = context.known(work.datasource ?? scope.datasource)
          return context.transactions.begin(scope, datasource, { ...work, body })
        } catch (error) {
          return Promise.reject(error)
        }
      },
      beforeCommit: fn => void openTransaction(context).beforeCommit.push(fn),
      afterCommit: fn => void hookOwner(context.require()).afterCommit.push(fn),
      afterRollback: fn => void hookOwner(context.require()).afterRollback.push(fn),
      setRollbackOnly: reason => openTransaction(context).fail(reason, 'it was marked with setRollbackOnly'),
    },
    pools: () => context.pools.state(),
    activities: () => context.ledger.snapshot(),
    lockLevels: () => context.lockLevels.all(),
    propagator: context.propagator,
    locks: context.locks,
    stop: ({ deadlineMs = stopDeadlineMsDefault } = {}) => {
      stopping ??= close(deadlineMs)
      return stopping
    },
    [Symbol.asyncDispose]: () => db.stop(),
  }
  return db
}

function readCurrent(context: Context): Current {
  const scope = context.require()
  const transaction = innermostTransaction(scope)
  return {
    level: scope.level,
    chain: currentChain(scope),
    signal: scope.unit.signal,
    transaction: transaction?.isOpen ? describe(transaction) : undefined,
  }
}

/** A copy: nothing that is done with it, then or later, reaches the transaction. */
function describe({ id, name, datasource, signal, startedAt }: Transaction): CurrentTransaction {
  return { id, name, datasource, signal, now: new Date(startedAt) }
}

/** @throws TRANSACTION_MISSING, TRANSACTION_ENDED */
function openTransaction(context: Context): Transaction {
  const transaction = innermostTransaction(context.require())
  transaction?.check()
  if (transaction) return transaction
  throw dbContextError('TRANSACTION_MISSING', 'No open transaction at this level: do it inside transaction.begin')
}
