import { randomUUID } from 'node:crypto'
import { attempt } from './attempt.ts'
import { currentChain } from './current-chain.ts'
import type { Activity } from './datasource.ts'
import { hasCode } from './error.ts'
import { HookRunner, type HookRunnerOptions, PlainHooks } from './hooks.ts'
import type { Ledger } from './ledger.ts'
import { checkLevel } from './level.ts'
import { outerOf } from './outer.ts'
import { newTransaction, type Place, type Run, repeat } from './place.ts'
import type { Pools } from './pool.ts'
import { type Conduct, conducts, isConduct, type PropagationRefusal, propagations } from './propagation.ts'
import { dbContextError } from './registry.ts'
import { RetryBudget } from './retry.ts'
import {
  enclosingTransaction,
  findTransaction,
  innermostOpen,
  innerScope,
  noteHeldUp,
  openTransactions,
  refuseEscaped,
  type Scope,
} from './scope.ts'
import type { Statements } from './statement.ts'
import { Steps } from './steps.ts'
import { type BeginTransactionOptions, checkBegin, refuseInnerIdentity, refuseOtherTerms, termsOf } from './terms.ts'
import type { Transaction } from './transaction.ts'
import { PoolWait } from './wait.ts'

export interface TransactionsOptions extends HookRunnerOptions {
  readonly pools: Pools
  readonly ledger: Ledger
  readonly statements: Statements
  readonly levelsMax: number
  readonly lockWaitMs: number
  readonly transactionMs: number
}

interface Work<T> extends BeginTransactionOptions {
  readonly body: () => Promise<T>
}

/** Begins, joins, ends and repeats transactions, as the table of propagation says. */
export class Transactions {
  readonly #options: TransactionsOptions
  readonly #hooks: HookRunner

  constructor(options: TransactionsOptions) {
    this.#options = options
    this.#hooks = new HookRunner(options)
  }

  /** Rejects or throws. Not async, as the parts of a transaction are: each promise is a quarter of a percent of it. */
  begin<T>(scope: Scope, datasource: string, work: Work<T>): Promise<T> {
    checkBegin(work)
    refuseEscaped(scope)
    const open = findTransaction(scope, datasource)
    const cell = propagations[work.propagation ?? 'required'][open ? 'inside' : 'outside']
    if (!isConduct(cell)) throw refused(cell, { scope, datasource, open })
    const { deeper, transaction }: Conduct = conducts[cell]
    if (open && transaction === 'outer') return join(open, work)
    const at = deeper ? this.#deeper(scope, datasource) : scope
    if (transaction === 'none') return this.#plain(at, datasource, work.body)
    return this.#own(at, datasource, work)
  }

  /** @throws LEVEL_LIMIT */
  #deeper(scope: Scope, datasource: string): Scope {
    const level = checkLevel(scope.level + 1, this.#options.levelsMax, currentChain(scope))
    return innerScope(scope, { level, datasource })
  }

  async #plain<T>(scope: Scope, datasource: string, body: () => Promise<T>): Promise<T> {
    const plain = new PlainHooks()
    let ended: 'afterCommit' | 'afterRollback' = 'afterRollback'
    try {
      const value = await this.#options.enter(innerScope(scope, { plain, datasource }), body)
      ended = 'afterCommit'
      return value
    } finally {
      plain.isOpen = false
      await this.#hooks.run(scope, plain, ended)
    }
  }

  async #own<T>(scope: Scope, datasource: string, work: Work<T>): Promise<T> {
    const place = this.#place(scope, datasource, work)
    const { wait, terms } = place
    const budget = new RetryBudget({ retriesMax: terms.retries, lockWaitMs: this.#options.lockWaitMs, wait })
    let last: Transaction | undefined
    try {
      for (;;) {
        const run = await this.#once(place, work)
        last = run.transaction
        if (!('value' in run)) await repeat(run, place, budget)
        else {
          place.steps.succeed()
          if (last.afterCommit.length > 0) await this.#hooks.run(scope, last, 'afterCommit')
          return run.value
        }
      }
    } catch (error) {
      place.steps.fail(error, { isCut: place.outer.signal.aborted })
      if (hasCode(error, 'LOCK_TIMEOUT') && error.outcome === 'not-applied') noteHeldUp(scope, error)
      if (last?.state === 'rolled-back') await this.#hooks.run(scope, last, 'afterRollback')
      throw error
    }
  }

  /** @throws CONFIG */
  #place(scope: Scope, datasource: string, work: BeginTransactionOptions): Place {
    const { pools, transactionMs } = this.#options
    const pool = pools.at(datasource, scope.level)
    const terms = termsOf(work, transactionMs)
    pools.checkLifetime(datasource, { option: 'deadlineMs', ms: terms.deadlineMs })
    const enclosing = enclosingTransaction(scope)
    const { signal } = scope.unit
    const around = innermostOpen(scope)
    if (around) refuseInnerIdentity(work)
    const step = around?.nextStep() ?? work.id ?? randomUUID()
    return {
      // Another unit's is nobody's to wait for: its next run may begin while this one still goes on.
      id: around && !enclosing ? randomUUID() : step,
      startedAt: around?.steps.root.startOf(step) ?? work.now?.getTime() ?? Date.now(),
      steps: new Steps(step, { around: around?.steps, isShared: work.id !== undefined }),
      name: work.name,
      terms,
      scope,
      datasource,
      pool,
      enclosing,
      outer: enclosing ? outerOf(AbortSignal.any([signal, enclosing.innerSignal])) : scope.unit,
      wait: new PoolWait(pool.timeoutMs),
      deadline: undefined,
    }
  }

  /** One attempt from permit to permit, known to the transaction around it. */
  #once<T>(at: Place, work: Work<T>): Promise<Run<T>> {
    return at.enclosing ? at.enclosing.enclose(() => this.#attempt(at, work)) : this.#attempt(at, work)
  }

  async #attempt<T>(at: Place, work: Work<T>): Promise<Run<T>> {
    const activity = this.#activity(at)
    try {
      const { scope, pool, outer } = at
      const granted = this.#options.statements.permit({ scope, pool, signal: outer.signal }, activity, at.wait)
      const permit = granted instanceof Promise ? await granted : granted
      let run: Run<T>
      try {
        activity.phase = 'holding'
        run = await this.#run(at, work, newTransaction(at, activity))
      } finally {
        permit.release()
      }
      const inner = run.transaction.innerEnded()
      if (inner !== undefined) await inner
      return run
    } finally {
      this.#options.ledger.end(activity)
    }
  }

  async #run<T>(at: Place, work: Work<T>, transaction: Transaction): Promise<Run<T>> {
    const inner = innerScope(at.scope, { transaction, datasource: at.datasource })
    const noteEnd = noteEffects(at.scope, `transaction ${transaction.name ?? transaction.id}`)
    this.#options.ledger.opened(transaction)
    try {
      const enter = <R>(body: () => Promise<R>) => this.#options.enter(inner, body)
      return { transaction, value: await attempt(transaction, work.body, enter) }
    } catch (error) {
      return { transaction, error }
    } finally {
      this.#options.ledger.closed(transaction)
      // A commit in doubt may have been applied: to its unit, and to the transactions around it, it is an effect as well.
      const isEffect = transaction.state !== 'rolled-back'
      if (isEffect) at.scope.unit.noteEffect()
      noteEnd(isEffect)
    }
  }

  #activity({ scope, datasource, name }: Place): Activity {
    return this.#options.ledger.begin({
      phase: 'queued',
      root: scope.unit.root,
      unit: scope.unit.id,
      level: scope.level,
      datasource,
      what: `transaction ${name ?? ''}`.trim(),
      since: performance.now(),
    })
  }
}

/**
 * Notes the effect of a transaction in those that are open around it now: one of them may be over before this commits. Those of
 * its own unit wait for its end. Those of a unit around that do not, and cannot know: to them it is an effect from its
 * begin, until it has been rolled back.
 */
function noteEffects(scope: Scope, what: string): (isEffect: boolean) => void {
  const around = openTransactions(scope)
  if (around.length === 0) return noteNothing
  const waiting = around.filter(({ hold }) => hold.unit === scope.unit.id)
  const others = around.filter(({ hold }) => hold.unit !== scope.unit.id)
  for (const { effects } of others) effects.push(what)
  return isEffect => {
    if (isEffect) for (const { effects } of waiting) effects.push(what)
    else for (const { effects } of others) effects.splice(effects.indexOf(what), 1)
  }
}

const noteNothing = (): void => {}

/** @throws CONFIG, and whatever the body throws */
async function join<T>(transaction: Transaction, work: Work<T>): Promise<T> {
  refuseInnerIdentity(work)
  refuseOtherTerms(transaction, work)
  try {
    return await work.body()
  } catch (error) {
    transaction.fail(error, work.name && `its part ${work.name} failed and the error was caught`)
    throw error
  }
}

function refused(
  code: PropagationRefusal,
  { scope, datasource, open }: { scope: Scope; datasource: string; open: Transaction | undefined },
) {
  const details = { datasource, level: scope.level, ...(open && { transaction: open.id }) }
  const where = `datasource ${datasource} at level ${scope.level}`
  const message = {
    TRANSACTION_REQUIRED: `Propagation is mandatory and no transaction of ${where} is open: begin one around this call`,
    TRANSACTION_NOT_ALLOWED: `Propagation is never and transaction ${open?.name ?? open?.id} of ${where} is open: call this outside it`,
    PROPAGATION_UNSUPPORTED: `Propagation is nested and ${datasource} has no savepoints: use 'requires-new', or 'required' to join`,
  }[code]
  return dbContextError(code, message, { details })
}
