import { randomUUID } from 'node:crypto'
import { attempt } from './attempt.ts'
import type { Activity } from './datasource.ts'
import { deadlineIn } from './deadline.ts'
import type { Ledger } from './ledger.ts'
import type { LevelPool, Pools } from './pool.ts'
import { describePool } from './pool.ts'
import { dbContextError } from './registry.ts'
import { RetryBudget, retriesDefault } from './retry.ts'
import { findTransaction, innerScope, openTransactions, type Scope } from './scope.ts'
import type { Statements } from './statement.ts'
import { Transaction } from './transaction.ts'

/** What a transaction does about one that is already open. */
export type Propagation = 'required' | 'requires-new' | 'not-supported' | 'supports' | 'mandatory' | 'never' | 'nested'

export interface BeginTransactionOptions {
  /** The datasource; the one that `switchDb` chose by default, else the first declared. */
  readonly datasource?: string
  /** Default `required`: joins the open transaction of this datasource and level, or begins one. Others are refused as yet. */
  readonly propagation?: Propagation
  /** Milliseconds from the moment it has its connection; default 30,000, at most what the unit of work has left. */
  readonly deadlineMs?: number
  /** Attempts after a transient failure that is not a conflict; default 3, and 0 turns every retry off. */
  readonly retries?: number
  /** Names it in errors. */
  readonly name?: string
}

/** Below the server's default lifetime of 60 s, so that this side ends a transaction before the server does. */
const transactionDeadlineMsDefault = 30_000

export interface TransactionsOptions {
  readonly pools: Pools
  readonly ledger: Ledger
  readonly statements: Statements
  readonly lockWaitMs: number
  readonly enter: <T>(scope: Scope, body: () => Promise<T>) => Promise<T>
  readonly report: (error: unknown, what: string) => void
}

/** Begins, joins, ends and repeats transactions. */
export class Transactions {
  readonly #options: TransactionsOptions

  constructor(options: TransactionsOptions) {
    this.#options = options
  }

  async begin<T>(
    scope: Scope,
    datasource: string,
    work: { body: () => Promise<T> } & BeginTransactionOptions,
  ): Promise<T> {
    checkPropagation(work.propagation)
    const joined = findTransaction(scope, datasource)
    if (joined) return await join(joined, work.body)
    const pool = this.#options.pools.at(datasource, scope.level)
    const budget = new RetryBudget({
      retriesMax: work.retries ?? retriesDefault,
      lockWaitMs: this.#options.lockWaitMs,
    })
    for (;;) {
      const run = await this.#once({ scope, datasource, pool }, work)
      if ('value' in run) return run.value
      await this.#prepareRetry(run, { scope, pool, budget })
    }
  }

  /** One attempt from permit to permit; its hooks run when the permit is back. */
  async #once<T>(at: Place, work: { body: () => Promise<T> } & BeginTransactionOptions): Promise<Run<T>> {
    const activity = this.#activity(at, work.name)
    try {
      const permit = await this.#options.statements.permit(at.pool, at.scope, activity)
      activity.phase = 'holding'
      const transaction = open(at, work, activity)
      const inner = innerScope(at.scope, { transaction, datasource: at.datasource })
      let run: Run<T>
      try {
        run = { transaction, value: await attempt(transaction, () => this.#options.enter(inner, work.body)) }
      } catch (error) {
        run = { transaction, error }
      } finally {
        permit.release()
      }
      await this.#settle(at.scope, run)
      return run
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  async #settle(scope: Scope, run: Run<unknown>): Promise<void> {
    const { transaction } = run
    if (transaction.state === 'committed') {
      for (const outer of openTransactions(scope))
        outer.effects.push(`transaction ${transaction.name ?? transaction.id}`)
      await this.#runHooks(scope, transaction.afterCommit, 'afterCommit')
    }
    if (transaction.state === 'rolled-back') await this.#runHooks(scope, transaction.afterRollback, 'afterRollback')
  }

  async #runHooks(scope: Scope, hooks: readonly (() => unknown)[], what: string): Promise<void> {
    for (const hook of hooks) {
      try {
        await this.#options.enter(innerScope(scope, {}), async () => hook())
      } catch (error) {
        this.#options.report(error, what)
      }
    }
  }

  /** Rethrows what must not be repeated; else waits, with the permit and the session given back, for the next attempt. */
  async #prepareRetry(
    run: { transaction: Transaction; error: unknown },
    at: { scope: Scope; pool: LevelPool; budget: RetryBudget },
  ): Promise<void> {
    const { transaction, error } = run
    const { unit } = at.scope
    const own = transaction.serverFailure
    if (!own || transaction.state !== 'rolled-back' || at.budget.isOff || unit.signal.aborted || unit.ended) throw error
    const { cause } = own
    const kind = at.pool.adapter.classify(cause)
    if (!kind.transient) throw error
    if (transaction.effects.length > 0) throw retryUnsafe(transaction, cause)
    await at.budget.next(cause, kind, unit.signal)
  }

  #activity(at: Place, name: string | undefined): Activity {
    const { unit, level } = at.scope
    return this.#options.ledger.begin({
      phase: 'queued',
      root: unit.root,
      unit: unit.id,
      level,
      datasource: at.datasource,
      what: `transaction ${name ?? ''}`.trim(),
      since: performance.now(),
    })
  }
}

interface Place {
  readonly scope: Scope
  readonly datasource: string
  readonly pool: LevelPool
}

type Run<T> = { transaction: Transaction; value: T } | { transaction: Transaction; error: unknown }

function open(at: Place, work: BeginTransactionOptions, activity: Activity): Transaction {
  const id = randomUUID()
  const deadline = Math.min(deadlineIn(work.deadlineMs ?? transactionDeadlineMsDefault), at.scope.unit.deadline)
  return new Transaction({
    id,
    name: work.name,
    datasource: at.datasource,
    level: at.scope.level,
    deadline,
    unitSignal: at.scope.unit.signal,
    hold: {
      rank: at.pool.rank,
      unit: at.scope.unit.id,
      what: `the connection of transaction ${work.name ?? id} on ${describePool(at.pool)}`,
    },
    handle: at.pool.adapter.begin({ id, deadline, activity }),
  })
}

async function join<T>(transaction: Transaction, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    transaction.fail(error)
    throw error
  }
}

function checkPropagation(propagation: Propagation = 'required'): void {
  if (propagation === 'required') return
  throw dbContextError(
    'PROPAGATION_UNSUPPORTED',
    `Propagation is ${String(propagation)}, only 'required' is built yet`,
    { details: { got: propagation, expected: ['required'] } },
  )
}

function retryUnsafe(transaction: Transaction, cause: unknown) {
  const { effects } = transaction
  return dbContextError(
    'RETRY_UNSAFE',
    `Transaction ${transaction.name ?? transaction.id} was rolled back by a transient error and not run again, ` +
      `because its body had already caused: ${effects.join(', ')}`,
    { details: { transaction: transaction.id, effects: [...effects] }, cause },
  )
}
