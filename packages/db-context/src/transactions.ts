import { randomUUID } from 'node:crypto'
import { attempt } from './attempt.ts'
import type { Activity } from './datasource.ts'
import { at, deadlineIn } from './deadline.ts'
import { hasCode } from './error.ts'
import type { Ledger } from './ledger.ts'
import { checkMs, checkWhole } from './options.ts'
import type { LevelPool, Pools } from './pool.ts'
import { describePool } from './pool.ts'
import { lockBlockedError, putBackAfterMs } from './put-back.ts'
import { dbContextError } from './registry.ts'
import { RetryBudget, retriesDefault } from './retry.ts'
import { findTransaction, innerScope, openTransactions, type Scope } from './scope.ts'
import type { Statements } from './statement.ts'
import { Transaction } from './transaction.ts'
import { PoolWait } from './wait.ts'

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
    checkWork(work)
    const joined = findTransaction(scope, datasource)
    if (joined) return await join(joined, work.body)
    const pool = this.#options.pools.at(datasource, scope.level)
    const at = { scope, datasource, pool, wait: new PoolWait(pool.timeoutMs) }
    const budget = new RetryBudget({
      retriesMax: work.retries ?? retriesDefault,
      lockWaitMs: this.#options.lockWaitMs,
    })
    for (;;) {
      const run = await this.#once(at, work)
      if ('value' in run) {
        await this.#runHooks(scope, run.transaction.afterCommit, 'afterCommit')
        return run.value
      }
      await this.#prepareRetry(run, at, budget)
    }
  }

  /** One attempt from permit to permit. */
  async #once<T>(at: Place, work: { body: () => Promise<T> } & BeginTransactionOptions): Promise<Run<T>> {
    const activity = this.#activity(at, work.name)
    try {
      const permit = await this.#options.statements.permit(at, activity, at.wait)
      try {
        activity.phase = 'holding'
        return await this.#run(at, work, open(at, work, activity))
      } finally {
        permit.release()
      }
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  async #run<T>(at: Place, work: { body: () => Promise<T> }, transaction: Transaction): Promise<Run<T>> {
    const inner = innerScope(at.scope, { transaction, datasource: at.datasource })
    this.#options.ledger.opened(transaction)
    try {
      return { transaction, value: await attempt(transaction, () => this.#options.enter(inner, work.body)) }
    } catch (error) {
      return { transaction, error }
    } finally {
      // A commit in doubt may have been applied: to the transactions around it, it is an effect as well.
      this.#options.ledger.closed(transaction)
      if (transaction.state !== 'rolled-back') {
        at.scope.unit.noteEffect()
        const what = `transaction ${transaction.name ?? transaction.id}`
        for (const outer of openTransactions(at.scope)) outer.effects.push(what)
      }
    }
  }

  /** In order, outside the ended transaction, each for a bounded time; what goes wrong is reported and changes nothing. */
  async #runHooks(scope: Scope, hooks: readonly (() => unknown)[], what: string): Promise<void> {
    for (const hook of hooks) {
      const late = Promise.withResolvers<never>()
      const disarm = at(deadlineIn(hookMsMax), () => late.reject(hookTimeout(what)))
      try {
        await Promise.race([this.#options.enter(innerScope(scope, {}), async () => hook()), late.promise])
      } catch (error) {
        this.#options.report(error, what)
      } finally {
        disarm()
      }
    }
  }

  /** Waits, with the permit and the session given back, for the next attempt; else it is over, and the error comes out. */
  async #prepareRetry(run: Failed, { scope, pool }: Place, budget: RetryBudget): Promise<void> {
    const { transaction } = run
    try {
      await repeat(run, { scope, pool, budget })
    } catch (error) {
      if (transaction.state === 'rolled-back') await this.#runHooks(scope, transaction.afterRollback, 'afterRollback')
      throw error
    }
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
  /** Shared by all attempts. */
  readonly wait: PoolWait
}

interface Failed {
  readonly transaction: Transaction
  readonly error: unknown
}

type Run<T> = { readonly transaction: Transaction; readonly value: T } | Failed

/** The longest that one hook is waited for: whoever began the transaction waits for its hooks. */
const hookMsMax = 30_000

const hookTimeout = (what: string) =>
  dbContextError('DEADLINE_EXCEEDED', `Hook ${what} did not end within ${hookMsMax} ms and is no longer waited for`)

/** Waits before another attempt. @throws the error of the last one, or why there is no other */
async function repeat(
  { transaction, error }: Failed,
  { scope, pool, budget }: { scope: Scope; pool: LevelPool; budget: RetryBudget },
): Promise<void> {
  const { unit } = scope
  const own = transaction.serverFailure
  if (!own || transaction.state !== 'rolled-back' || budget.isOff || unit.signal.aborted || unit.ended) throw error
  const { cause } = own
  const kind = pool.adapter.classify(cause)
  if (!kind.transient) throw error
  if (transaction.effects.length > 0) throw retryUnsafe(transaction, cause)
  if (kind.conflict && unit.isUntouched && budget.conflictMs >= putBackAfterMs) throw lockBlocked(transaction, cause)
  try {
    await budget.next(cause, kind, unit.signal)
  } catch (refusal) {
    throw (hasCode(refusal, 'LOCK_TIMEOUT') && transaction.suspicion) || refusal
  }
}

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

/** @throws TRANSACTION_ENDED */
async function join<T>(transaction: Transaction, body: () => Promise<T>): Promise<T> {
  transaction.check()
  try {
    return await body()
  } catch (error) {
    transaction.fail(error)
    throw error
  }
}

function lockBlocked({ id, name, level }: Transaction, cause: unknown) {
  return lockBlockedError(`transaction ${name ?? id}`, { level, transaction: id, cause })
}

const retriesLimit = 1000

/** @throws CONFIG, PROPAGATION_UNSUPPORTED */
function checkWork({ propagation = 'required', deadlineMs, retries }: BeginTransactionOptions): void {
  checkMs('deadlineMs', deadlineMs)
  checkWhole('retries', retries, { min: 0, max: retriesLimit })
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
