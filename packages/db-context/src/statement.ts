import { ancestorLock, findAncestor } from './ancestors.ts'
import { rollbackOnly } from './attempt.ts'
import type {
  Activity,
  BlockedWrite,
  Datasource,
  DatasourcePool,
  DatasourceTransaction,
  StatementBinding,
  StatementHold,
  StatementScope,
  StatementTarget,
  WrittenDocuments,
} from './datasource.ts'
import { type Deadline, deadlineIn } from './deadline.ts'
import type { Ledger } from './ledger.ts'
import type { LockLevels } from './lock-levels.ts'
import type { Permit } from './permits.ts'
import { describePool, type LevelPool, type Pools } from './pool.ts'
import { lockBlockedError, putBackAfterMs } from './put-back.ts'
import type { Hold } from './rank.ts'
import { dbContextError } from './registry.ts'
import {
  findTransaction,
  innermostTransaction,
  noteHeldUp,
  openTransactions,
  refuseEscaped,
  type Scope,
} from './scope.ts'
import type { Transaction } from './transaction.ts'
import { PoolWait, poolTimeout, refuseHeld } from './wait.ts'

type Target = StatementTarget<DatasourcePool, DatasourceTransaction>
type Run<T> = (target: Target) => Promise<T>

export interface StatementOptions {
  readonly pools: Pools
  readonly ledger: Ledger
  /** The current scope; throws CONTEXT_MISSING or CONTEXT_ENDED. */
  readonly require: () => Scope
  readonly lockWaitMs: number
  readonly lockLevels: LockLevels
  /** The current scope, where there is one. */
  readonly find: () => Scope | undefined
  readonly start: () => Promise<void>
}

/** Takes statements of datasources to the pool, or the transaction, of the scope that they are called in. */
export class Statements {
  readonly #options: StatementOptions

  constructor(options: StatementOptions) {
    this.#options = options
  }

  /** What one datasource is given of its context. */
  scopeOf(datasource: Datasource): StatementScope<DatasourcePool, DatasourceTransaction> {
    const { pools, lockWaitMs } = this.#options
    return {
      bind: () => this.#bind(datasource.name),
      service: (what, run) => this.#service(datasource.name, { what, run }),
      servicePool: pools.service(datasource.name).adapter,
      awaitedBy: () => awaitedBy(this.#options.find()),
      lockWaitMs,
      isolated: pools.isolated,
    }
  }

  /** Waits for a permit of `pool`, unless something the scope holds forbids it. No promise where none is needed. */
  permit(
    { pool, scope, signal = scope.unit.signal }: At,
    activity: Activity,
    wait?: PoolWait,
  ): Permit | Promise<Permit> {
    if (!this.#options.pools.isolated) return unpermitted
    refuseHeld(scope, { rank: pool.rank, what: () => `a connection of ${describePool(pool)}` })
    const free = pool.permits.tryAcquire()
    if (free) return free
    return (wait ?? new PoolWait(pool.timeoutMs)).within(deadline =>
      pool.permits.acquire({
        deadline: Math.min(deadline, scope.unit.deadline),
        signal,
        refuse: why => poolTimeout(pool, { why, activity, reason: signal.reason }),
      }),
    )
  }

  #bind(datasource: string): StatementBinding<DatasourcePool, DatasourceTransaction> {
    const scope = this.#options.require()
    const transaction = findTransaction(scope, datasource)
    if (!transaction) refuseOther(scope, datasource)
    const pool = this.#options.pools.at(datasource, scope.level)
    return new Binding(this, { datasource, scope, pool, transaction })
  }

  /** Not async: a promise more for each statement is 1 % of it. */
  statement<T>(at: Bound, work: Work<T>): Promise<T> {
    const { transaction } = at
    try {
      const scope = this.#options.require()
      if (transaction) return transaction.statement(() => this.#inside(at, transaction, work))
      refuseEscaped(scope)
      return this.#alone(at, scope, work)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #alone<T>(at: Bound, scope: Scope, work: Work<T>): Promise<T> {
    const { pool } = at
    const activity = this.#begin(at, work.what)
    try {
      const granted = this.permit({ pool, scope }, activity, work.wait)
      const permit = granted instanceof Promise ? await granted : granted
      try {
        if (granted instanceof Promise) refuseEscaped(scope)
        activity.phase = 'running'
        return await work.run(target(pool, scope, activity))
      } finally {
        permit.release()
      }
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  async #inside<T>(at: Bound, transaction: Transaction, work: Work<T>): Promise<T> {
    const activity = this.#begin(at, work.what)
    activity.phase = 'running'
    try {
      if (transaction.isGivenUp) throw rollbackOnly(transaction)
      const making = transaction.handle.ready?.()
      if (making !== undefined) await making
      return await work.run(new InnerTarget(at, transaction, activity))
    } catch (error) {
      transaction.failOnServer(error, at.pool.adapter.classify(error))
      throw error
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  /** Notes what a write has changed, for those that it will keep waiting. */
  wrote({ scope, transaction }: Bound, documents: WrittenDocuments): void {
    if (transaction) transaction.writes.add(documents)
    else scope.unit.noteEffect()
    this.#noteLevels(scope, transaction, documents)
  }

  blocked({ scope, transaction: own }: Bound, write: BlockedWrite): Error | undefined {
    if (!this.#options.pools.isolated) return undefined
    const { documents, what, cause, blockedMs, isOver } = write
    this.#noteLevels(scope, own, documents)
    const open = (id: string) => this.#options.ledger.transaction(id)
    const ancestor = findAncestor(scope, documents, { own, open })
    const isSure = ancestor?.match === 'certain'
    const lock = ancestor && ancestorLock(scope, { ancestor, own, what, collection: documents.collection, cause })
    if (isSure || isOver) return lock
    if (own) own.suspicion = lock
    if (scope.unit.isUntouched && !own && blockedMs >= putBackAfterMs) {
      return lockBlockedError(what, { level: scope.level, transaction: undefined, cause: lock ?? cause })
    }
    return undefined
  }

  /** As the caller of a job that was held up does: what holds the document may wait for a transaction around this write. */
  heldUp({ scope, transaction }: Bound, error: Error): void {
    if (!transaction) noteHeldUp(scope, error)
  }

  #noteLevels(scope: Scope, own: Transaction | undefined, documents: WrittenDocuments): void {
    const { lockLevels } = this.#options
    for (const transaction of openTransactions(scope)) {
      if (transaction === own) continue
      for (const held of transaction.writes.collections) lockLevels.held(held, transaction.level)
    }
    if (!documents.areNew) lockLevels.written(documents.collection, scope.level)
  }

  async hold(at: Bound, what: string): Promise<StatementHold<DatasourcePool, DatasourceTransaction>> {
    const activity = this.#begin(at, what)
    try {
      const scope = this.#options.require()
      refuseEscaped(scope)
      const permit = await this.permit({ pool: at.pool, scope }, activity)
      const unit = at.scope.unit.id
      const hold: Hold = { rank: at.pool.rank, unit, what: `an open cursor (${what}) that keeps its connection` }
      // Where it is read counts, and where it was made: a loop may be outside the scope that it got its cursor from.
      const scopes = new Set([at.scope, scope])
      for (const each of scopes) each.holds.add(hold)
      return {
        statement: (inner, run) => this.#held(at, inner, run),
        release: () => {
          for (const each of scopes) each.holds.delete(hold)
          permit.release()
        },
      }
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  async #held<T>(at: Bound, what: string, run: Run<T>): Promise<T> {
    this.#options.require()
    const activity = this.#begin(at, what)
    activity.phase = 'running'
    try {
      return await run(target(at.pool, at.scope, activity))
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  async #service<T>(datasource: string, work: { what: string; run: Run<T> }): Promise<T> {
    const pool = this.#options.pools.service(datasource)
    const activity: Activity = { ...idle, phase: 'queued', datasource, what: work.what, since: performance.now() }
    this.#options.ledger.begin(activity)
    // It may write, which a second run would do again.
    this.#options.find()?.unit.noteEffect()
    try {
      await this.#options.start()
      const permit = this.#options.pools.isolated
        ? await pool.permits.acquire({
            deadline: deadlineIn(pool.timeoutMs),
            signal: undefined,
            refuse: why => poolTimeout(pool, { why, activity, reason: undefined }),
          })
        : unpermitted
      try {
        activity.phase = 'running'
        return await work.run({
          pool: pool.adapter,
          level: idle.level,
          transaction: undefined,
          deadline: deadlineIn(serviceStatementMs),
          signal: neverAborted,
          activity,
        })
      } finally {
        permit.release()
      }
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  #begin(at: Bound, what: string): Activity {
    const { unit, level } = at.scope
    return this.#options.ledger.begin({
      phase: 'queued',
      root: unit.root,
      unit: unit.id,
      level,
      datasource: at.datasource,
      what,
      since: performance.now(),
    })
  }
}

/** A pool, and the scope that is to use it. */
interface At {
  readonly scope: Scope
  readonly pool: LevelPool
  /** Ends the wait for a permit; that of the unit of work by default. */
  readonly signal?: AbortSignal
}

interface Bound extends At {
  readonly datasource: string
  readonly transaction: Transaction | undefined
}

interface Work<T> {
  readonly what: string
  readonly run: Run<T>
  readonly wait: PoolWait | undefined
}

/** A class and no closures: one is made for each operation. */
class Binding implements StatementBinding<DatasourcePool, DatasourceTransaction> {
  readonly #statements: Statements
  readonly #at: Bound

  constructor(statements: Statements, at: Bound) {
    this.#statements = statements
    this.#at = at
  }

  get pool(): DatasourcePool {
    return this.#at.pool.adapter
  }

  get level(): number {
    return this.#at.scope.level
  }

  get transaction(): DatasourceTransaction | undefined {
    return this.#at.transaction?.handle
  }

  statement<T>(what: string, run: Run<T>, wait?: PoolWait): Promise<T> {
    return this.#statements.statement(this.#at, { what, run, wait })
  }

  poolWait(): PoolWait {
    return new PoolWait(this.#at.pool.timeoutMs)
  }

  hold(what: string): Promise<StatementHold<DatasourcePool, DatasourceTransaction>> {
    return this.#statements.hold(this.#at, what)
  }

  wrote(documents: WrittenDocuments): void {
    this.#statements.wrote(this.#at, documents)
  }

  blocked(write: BlockedWrite): Error | undefined {
    return this.#statements.blocked(this.#at, write)
  }

  heldUp(error: Error): void {
    this.#statements.heldUp(this.#at, error)
  }

  onEnd(close: () => Promise<void>): () => void {
    return (this.#at.transaction ?? this.#at.scope.unit).onEnd(close)
  }
}

/** A class, because a literal with a getter is slow to make, and few ask for the signal. */
class InnerTarget implements Target {
  readonly pool: DatasourcePool
  readonly level: number
  readonly transaction: DatasourceTransaction
  readonly deadline: Deadline
  readonly activity: Activity
  readonly #transaction: Transaction

  constructor({ pool, scope }: At, transaction: Transaction, activity: Activity) {
    this.pool = pool.adapter
    this.level = scope.level
    this.transaction = transaction.handle
    this.deadline = Math.min(transaction.deadline, scope.unit.deadline)
    this.activity = activity
    this.#transaction = transaction
  }

  get signal(): AbortSignal {
    return this.#transaction.signal
  }
}

const unpermitted: Permit = { release: () => {} }
const neverAborted = new AbortController().signal
const idle = { root: 'service', unit: 'service', level: -1 } as const

/** The longest a statement on the service pool may run, in milliseconds: background work is small by rule. */
const serviceStatementMs = 30_000

function target(pool: LevelPool, scope: Scope, activity: Activity): Target {
  const deadline: Deadline = scope.unit.deadline
  return {
    pool: pool.adapter,
    level: scope.level,
    transaction: undefined,
    deadline,
    signal: scope.unit.signal,
    activity,
  }
}

function awaitedBy(scope: Scope | undefined): string | undefined {
  if (!scope) return undefined
  for (const { id, name, level } of openTransactions(scope)) return `transaction ${name ?? id} (level ${level})`
  for (let at: Scope | undefined = scope; at; at = at.unit.enclosing) {
    const caller = at.unit.chain.at(-2)
    if (caller) return `${caller.kind} ${caller.name} (level ${caller.level})`
  }
  return undefined
}

function refuseOther(scope: Scope, datasource: string): void {
  const around = innermostTransaction(scope)
  if (!around?.isOpen || scope.datasource === datasource) return
  throw dbContextError(
    'OTHER_DATASOURCE',
    `Statement on datasource ${datasource} inside a transaction of ${around.datasource}: it would not be part of it. ` +
      `Wrap it in switchDb(fn, { datasource: '${datasource}' }) if that is meant`,
    { details: { datasource, transaction: around.id, transactionDatasource: around.datasource } },
  )
}
