import { callNotes } from './call-notes.ts'
import type { Chain, ChainLink } from './chain.ts'
import { currentChain, heldChain } from './current-chain.ts'
import { type Deadline, deadlineIn, remainingMs } from './deadline.ts'
import { type CarriedContext, readHeader, writeHeader } from './header.ts'
import { checkDeeper, checkLevel } from './level.ts'
import type { LockLevels } from './lock-levels.ts'
import type { DeclaredProcesses } from './options.ts'
import { laneRank } from './rank.ts'
import { dbContextError } from './registry.ts'
import { enclosingTransaction, innermostTransaction, openTransactions, refuseEscaped, type Scope } from './scope.ts'
import type { Transaction } from './transaction.ts'
import { refuseHeld } from './wait.ts'

/** Where an awaited job is to run, and what it may take: what travels with it. */
export interface OutgoingCall {
  readonly level: number
  /** The caller and those that await it. */
  readonly chain: Chain
  /** What the unit of work and its open transactions have left, in milliseconds; `Infinity` without a deadline. */
  readonly remainingMs: number
  /** Aborted when the caller is given up. */
  readonly signal: AbortSignal
  readonly root: string
  readonly unit: string
  /**
   * To be called just before the job is sent. From then on no open transaction around the call is run again, unless it is sent as
   * a step.
   */
  sent(options?: { readonly isStep?: boolean }): void
  /** To be called when a job that was sent has turned out not to have run, nor to be about to. */
  unsent(): void
  /**
   * To be called when the call ended because a document held its work up for too long (`LOCK_TIMEOUT`, `not-applied`): the
   * outermost transaction around it is then run again, if its body throws this error.
   */
  heldUp(error: Error): void
  /** Where the call stands in the body of the transaction around it; to be asked at once, in the order of the calls. */
  step(): CallStep | undefined
}

/**
 * A call as the body of a transaction makes it, in whichever attempt. A sender that takes part gives a body that runs again what
 * its call has come to before, instead of a second job; one that does not take part uses `OutgoingCall.sent` alone.
 */
export interface CallStep {
  /** Made of the transaction's id and the call's place in the order of the body's calls: the same in each attempt. */
  readonly id: string
  /** One object for all calls of a transaction and of those inside it, as long as any attempt may follow. */
  readonly owner: object
  /**
   * True where the transaction was begun with an `id`: another process may have made this very call, and its job may still be there,
   * or its record.
   */
  readonly isShared: boolean
  /** Aborted when the call is no longer waited for: not by a rollback that another attempt follows. */
  readonly signal: AbortSignal
  /** What became of the call is not known: no transaction around it is run again. */
  lose(): void
  /** The body made another call here before: no transaction around it can be committed. */
  diverge(error: Error): void
}

/** Where a job that nobody awaits is to run, and the transaction whose commit it has to wait for. */
export interface OutgoingPush {
  readonly level: number
  /**
   * Publishes after the commit of the open transaction, and never if it is rolled back; absent without one. Where the commit is in
   * doubt it does not publish either: `COMMIT_UNKNOWN` then names the push. @throws TRANSACTION_ENDED
   */
  readonly defer: ((push: DeferredPush) => void) | undefined
}

/** A job that is to be sent when a transaction has committed. */
export interface DeferredPush {
  readonly job: string
  readonly id: string
  /** True where the transaction has written it, too: then a commit in doubt loses nothing, and does not name it. Default false. */
  readonly isKept?: boolean
  publish(): Promise<void>
}

/** A job that begins: the context it arrives with. */
export interface IncomingJob {
  readonly name: string
  readonly id: string
  readonly level: number
  /** The callers, outermost first; empty for a push. */
  readonly chain: readonly ChainLink[]
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /** The lane whose slot the job holds while it runs. */
  readonly lane: { readonly queue: string; readonly level: number }
  /**
   * True where the job can be put back into its lane and run from its beginning: then a write that other work blocks ends in
   * `LOCK_BLOCKED` while the job has applied and called nothing. Default false.
   */
  readonly canPutBack?: boolean
}

/** The unit of work of a job that runs. */
export interface RunningUnit {
  /** True once it has committed, written outside a transaction, made a call that may have run, or sent a push: what its failure does not undo. */
  readonly hasEffects: boolean
}

/**
 * Carries the context from process to process: the queue asks it where a call goes, and enters with it where a job
 * arrives. Applications use `db.run`, `push` and `pushAsync` instead.
 */
export interface Propagator {
  readonly levelsMax: number
  /** False under `isolation: 'none'`: every level in one lane. */
  readonly isolated: boolean
  /** The longest wait for documents that other work holds, in milliseconds. */
  readonly lockWaitMs: number
  /** How many processes like this one are to run; undefined where that was not declared. */
  readonly processes: DeclaredProcesses | undefined
  /** Codes of the errors of db-context and its datasources: what they say of an outcome is about their own operation. */
  readonly errorCodes: ReadonlySet<string>
  /**
   * Decides on a call that is made now.
   *
   * @throws LEVEL_LIMIT, LEVEL_ORDER, LEVEL_INVALID, HOLD_AND_WAIT, CONTEXT_MISSING, CONTEXT_ENDED (`not-applied`)
   */
  call(name: string, options?: { readonly level?: number }): OutgoingCall
  /** Decides on a push: level 1 unless one is given. Works outside a unit of work too. @throws LEVEL_LIMIT, LEVEL_INVALID, LEVEL_ORDER */
  push(options?: { readonly level?: number }): OutgoingPush
  /**
   * Writes the current context into the value of one header, for a service of ours that is called over HTTP: the work there
   * begins one level deeper and ends by this caller's deadline. That service hands it to `db.run(fn, { header })`.
   *
   * @throws LEVEL_LIMIT, CONTEXT_MISSING, CONTEXT_ENDED
   */
  inject(): string
  /** Reads what `inject` wrote. For trusted peers only: whoever may send it chooses the level. @throws HEADER_INVALID, LEVEL_LIMIT */
  extract(header: string): CarriedContext
  /**
   * Runs a job as a unit of work of its own, whatever surrounds it. The body gets the unit's signal, aborted at its deadline
   * or by the job's own signal. @throws LEVEL_LIMIT, LEVEL_INVALID
   */
  run<T>(job: IncomingJob, body: (signal: AbortSignal, unit: RunningUnit) => Promise<T>): Promise<T>
}

export interface PropagatorOptions {
  readonly levelsMax: number
  readonly isolated: boolean
  readonly lockWaitMs: number
  readonly processes: DeclaredProcesses | undefined
  readonly errorCodes: ReadonlySet<string>
  readonly require: () => Scope
  readonly find: () => Scope | undefined
  readonly runUnit: Propagator['run']
  readonly lockLevels: LockLevels
}

export function createPropagator(options: PropagatorOptions): Propagator {
  const { levelsMax, isolated, lockWaitMs, processes, errorCodes, lockLevels } = options
  return {
    levelsMax,
    isolated,
    lockWaitMs,
    processes,
    errorCodes,
    call(name, { level } = {}) {
      const scope = options.require()
      refuseEscaped(scope)
      const at = callLevel(scope, level, levelsMax)
      if (isolated) refuseHeld(scope, { rank: laneRank(at), what: () => `a worker slot of ${name} at level ${at}` })
      return {
        level: at,
        chain: heldChain(scope),
        remainingMs: remainingMs(callDeadline(scope)),
        // Also of a transaction that waits for this at a shallower level: sent after its rollback, the call would be no effect of it.
        signal: enclosingTransaction(scope)?.signal ?? scope.unit.signal,
        root: scope.unit.root,
        unit: scope.unit.id,
        ...callNotes(scope, name, lockLevels),
      }
    },
    push({ level } = {}) {
      const scope = options.find()
      const at = pushLevel(scope, level ?? 1, levelsMax)
      const transaction = scope && innermostTransaction(scope)
      if (transaction && !transaction.isOpen) throw transactionEnded(transaction.id)
      if (!transaction) scope?.unit.noteEffect()
      return { level: at, defer: transaction && (push => defer(transaction, push)) }
    },
    inject() {
      const scope = options.require()
      scope.unit.noteEffect()
      const left = remainingMs(callDeadline(scope))
      const deadline = Number.isFinite(left) ? { deadlineMs: left } : {}
      return writeHeader({ level: callLevel(scope, undefined, levelsMax), chain: heldChain(scope), ...deadline })
    },
    extract: header => {
      const carried = readHeader(header)
      checkLevel(carried.level, levelsMax, carried.chain)
      return carried
    },
    run: (job, body) => {
      checkLevel(job.level, levelsMax, [link(job), ...job.chain])
      return options.runUnit(job, body)
    },
  }
}

const link = ({ name, id, level }: IncomingJob): ChainLink => ({ kind: 'job', name, id, level })

/** The chain of a job that begins: its callers, then itself. */
export function jobChain(job: IncomingJob): Chain {
  return [...job.chain, link(job)] as unknown as Chain
}

function callLevel(scope: Scope, level: number | undefined, levelsMax: number): number {
  const chain = currentChain(scope)
  const at = checkLevel(level ?? scope.level + 1, levelsMax, chain)
  checkDeeper(at, scope.level, { same: false, chain })
  return at
}

function pushLevel(scope: Scope | undefined, level: number, levelsMax: number): number {
  const chain: Chain = scope ? currentChain(scope) : [{ kind: 'run', name: 'push', id: 'none', level: 0 }]
  const at = checkLevel(level, levelsMax, chain)
  checkDeeper(at, 0, { same: false, chain })
  return at
}

/** The earliest end of whatever waits for the call. */
function callDeadline(scope: Scope): Deadline {
  let deadline = scope.unit.deadline
  for (const transaction of openTransactions(scope)) deadline = Math.min(deadline, transaction.deadline)
  return deadline
}

export const jobDeadline = (job: IncomingJob): Deadline => deadlineIn(job.deadlineMs)

/** A push takes time to check its data: the transaction may have ended meanwhile, and its hooks with it. */
function defer(transaction: Transaction, push: DeferredPush): void {
  if (!transaction.isOpen) throw transactionEnded(transaction.id)
  const { job, id, isKept = false } = push
  if (!isKept) transaction.pushes.push({ job, id })
  transaction.afterCommit.push(() => push.publish())
}

function transactionEnded(id: string) {
  return dbContextError('TRANSACTION_ENDED', `Push came after transaction ${id} had ended: await it inside its body`, {
    details: { transaction: id },
  })
}
