import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { Chain, ChainLink } from './chain.ts'
import { currentChain } from './current-chain.ts'
import { type Deadline, deadlineIn } from './deadline.ts'
import { failJob } from './job-end.ts'
import { Ledger } from './ledger.ts'
import { checkDeeper, checkLevel } from './level.ts'
import { LockLevels } from './lock-levels.ts'
import { createLocks, type Locks } from './locks.ts'
import { type CheckedOptions, type ContextOptions, checkMs, readOptions } from './options.ts'
import { Pools } from './pool.ts'
import {
  createPropagator,
  type IncomingJob,
  jobChain,
  jobDeadline,
  type Propagator,
  type RunningUnit,
} from './propagator.ts'
import { type Hold, laneRank } from './rank.ts'
import { dbContextError, dbContextErrors } from './registry.ts'
import { innerScope, rootScope, type Scope } from './scope.ts'
import { Startup } from './startup.ts'
import { Statements } from './statement.ts'
import { Transactions } from './transactions.ts'
import { Unit } from './unit.ts'
import { Units } from './units.ts'

export interface RootOptions {
  readonly name: string
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  readonly header?: string
}

/** The parts of one context, wired; {@link createDbContext} is the face on it. */
export class Context {
  readonly options: CheckedOptions
  readonly pools: Pools
  readonly ledger = new Ledger()
  readonly lockLevels: LockLevels
  readonly locks: Locks
  readonly units = new Units()
  readonly startup: Startup
  readonly statements: Statements
  readonly transactions: Transactions
  readonly propagator: Propagator
  readonly #scopes = new AsyncLocalStorage<Scope>()

  constructor(given: ContextOptions) {
    this.options = readOptions(given)
    const { datasources, lockWaitMs, report } = this.options
    this.pools = new Pools(datasources, this.options)
    this.lockLevels = new LockLevels(report)
    this.startup = new Startup(this.pools, this.options)
    const { ledger, lockLevels } = this
    const shared = { pools: this.pools, ledger, lockWaitMs }
    this.statements = new Statements({
      ...shared,
      lockLevels,
      require: () => this.require(),
      find: () => this.#scopes.getStore(),
      start: () => this.startup.start(),
    })
    this.transactions = new Transactions({
      ...this.options,
      ...shared,
      statements: this.statements,
      enter: (scope, body) => this.#scopes.run(scope, body),
      report,
    })
    this.propagator = createPropagator({
      ...this.options,
      require: () => this.require(),
      find: () => this.#scopes.getStore(),
      errorCodes: new Set([
        ...Object.keys(dbContextErrors),
        ...datasources.flatMap(({ errorCodes = [] }) => errorCodes),
      ]),
      runUnit: (job, body) => this.runJob(job, body),
      lockLevels,
    })
    this.locks = createLocks({
      find: () => (this.#scopes.getStore() === undefined ? undefined : this.require()),
      enter: (scope, body) => this.#scopes.run(scope, body),
      isolated: this.options.isolated,
    })
    for (const datasource of datasources) datasource.attach(this.statements.scopeOf(datasource))
  }

  /** @throws CONTEXT_MISSING, CONTEXT_ENDED */
  require(): Scope {
    const scope = this.#scopes.getStore()
    if (!scope) {
      throw dbContextError('CONTEXT_MISSING', 'No unit of work around this call: wrap it in db.run(fn)')
    }
    if (scope.unit.ended) {
      throw dbContextError(
        'CONTEXT_ENDED',
        `Unit of work ${scope.unit.id} has ended: await all of it, or wrap what goes on in a db.run(fn) of its own`,
        { details: { chain: scope.unit.chain } },
      )
    }
    return scope
  }

  /** @throws HEADER_INVALID, LEVEL_LIMIT */
  runRoot<T>(body: () => Promise<T>, options: RootOptions): Promise<T> {
    checkMs('deadlineMs', options.deadlineMs)
    const carried = options.header === undefined ? undefined : this.propagator.extract(options.header)
    const level = carried?.level ?? 0
    const own: ChainLink = { kind: 'run', name: options.name, id: randomUUID(), level }
    const chain: Chain = carried ? [...carried.chain, own] : [own]
    const deadline = Math.min(deadlineIn(options.deadlineMs), deadlineIn(carried?.deadlineMs))
    return this.#enter(this.#unit({ chain, deadline, signal: options.signal, slot: undefined }), { level, body })
  }

  async runJob<T>(job: IncomingJob, body: (signal: AbortSignal, unit: RunningUnit) => Promise<T>): Promise<T> {
    const slot: Hold = {
      rank: laneRank(this.options.isolated ? job.lane.level : 0),
      unit: job.id,
      what: `a worker slot of ${job.lane.queue} at level ${job.lane.level}`,
    }
    const { signal, canPutBack = false } = job
    const chain = jobChain(job)
    for (const { level, collections } of chain.flatMap(({ writes = [] }) => writes)) {
      for (const { collection } of collections) this.lockLevels.held(collection, level)
    }
    const unit = this.#unit({ chain, deadline: jobDeadline(job), signal, slot, canPutBack })
    try {
      return await this.#enter(unit, { level: job.level, body: () => body(unit.signal, unit) })
    } catch (error) {
      return await failJob(unit, this.ledger, error)
    }
  }

  /** @throws DATASOURCE_UNKNOWN, LEVEL_INVALID, LEVEL_LIMIT, LEVEL_ORDER */
  switch<T>(body: () => Promise<T>, to: { level?: number; datasource?: string }): Promise<T> {
    const scope = this.require()
    const chain = currentChain(scope)
    const level = checkLevel(to.level ?? scope.level, this.options.levelsMax, chain)
    checkDeeper(level, scope.level, { same: true, chain })
    const datasource = to.datasource === undefined ? scope.datasource : this.known(to.datasource)
    return this.#scopes.run(innerScope(scope, { level, datasource }), body)
  }

  /** The datasource that a transaction begun now is of. @throws DATASOURCE_UNKNOWN */
  known(name: string | undefined): string {
    if (name === undefined) return this.options.datasources[0].name
    if (this.options.datasources.some(datasource => datasource.name === name)) return name
    const expected = this.options.datasources.map(datasource => datasource.name)
    throw dbContextError('DATASOURCE_UNKNOWN', `Datasource is ${name}, expected one of ${expected.join(', ')}`, {
      details: { got: name, expected },
    })
  }

  #unit(options: {
    chain: Chain
    deadline: Deadline
    signal: AbortSignal | undefined
    slot: Hold | undefined
    canPutBack?: boolean
  }): Unit {
    const around = this.#scopes.getStore()
    return new Unit({ ...options, enclosing: around?.unit.ended ? undefined : around })
  }

  #enter<T>(unit: Unit, at: { level: number; body: () => Promise<T> }): Promise<T> {
    return this.units.run(unit, async () => {
      await this.startup.start()
      return await this.#scopes.run(rootScope(unit, at.level), at.body)
    })
  }
}
