import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BeginOptions,
  type DatasourceTransaction,
  dbContextError,
  deadlineIn,
  remainingMs,
} from '@strata/db-context'
import type { ClientSession, MongoClient } from 'mongodb'
import { classify, codeOf, hasLabel, hasName, isServerError, isWaitQueueTimeout } from '../classify.ts'
import { sessionTaken, takenError } from '../session-taken.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { poolTimeout, serverUnreachable } from '../translate.ts'
import { readConcerns } from './concerns.ts'
import { leaveBrokenConnection, watchSecondTry } from './session-internals.ts'

export interface TransactionPool {
  readonly client: MongoClient
  readonly writeConcernTimeoutMs: number
  readonly sessions?: Pick<Sessions, 'register'>
  send<T>(activity: BeginOptions['activity'], send: () => Promise<T>): Promise<T>
}

/** Between two tries of a commit: an election takes seconds, so nothing is gained by asking more often. */
const commitPauseMs = 50

const noSuchTransaction = 251

/** After which the server ends a transaction itself, with its sweep. */
const serverLifetimeMs = 90_000

/** A session with an open transaction. On a load balancer it pins one connection from its first statement to `end`. */
export class MongoTransaction implements DatasourceTransaction {
  readonly session: ClientSession
  readonly #pool: TransactionPool
  readonly #begin: BeginOptions
  #onEnd: (() => void)[] | undefined
  #isReady = false
  /** Whether a commit may have reached the server. */
  #isSent = false
  #statements = 0

  constructor(pool: TransactionPool, begin: BeginOptions) {
    this.#pool = pool
    this.#begin = begin
    const concerns = readConcerns(begin.concerns)
    this.session = pool.client.startSession()
    this.session.startTransaction({
      readConcern: concerns.readConcern,
      writeConcern: { ...concerns.writeConcern, wtimeoutMS: pool.writeConcernTimeoutMs },
      readPreference: 'primary',
      maxCommitTimeMS: pool.writeConcernTimeoutMs,
    })
    watchSecondTry(this.session, () => {
      this.#isSent = true
    })
    // Whoever got hold of the session could end this transaction, and have another one committed in its place.
    this.session.startTransaction = refuseStart
  }

  /** Its session has to be known before it holds anything: whoever finds this process dead ends it. */
  ready(): Promise<void> | undefined {
    this.#statements += 1
    if (this.#isReady) return undefined
    const registered = this.#pool.sessions?.register(this.session, this.#pool.client)
    this.#isReady = registered === undefined
    return registered
  }

  /**
   * Commits, and asks again on the same session while the answer is unknown and the deadline has not passed: the server
   * answers a commit it has already done with success. The driver itself gives up after one retry, and after a timeout of
   * its wait queue without having sent anything, which leaves the documents locked for a minute.
   */
  async commit(): Promise<void> {
    const what = `commit of transaction ${this.#begin.id}`
    if (this.session.hasEnded) throw takenError(what)
    this.#isSent = false
    for (;;) {
      try {
        await this.#send(() => this.session.commitTransaction())
        return
      } catch (error) {
        if (isRefusal(error, this.#isSent)) throw this.#refused(error, what)
        this.#isSent ||= !isUnsent(error)
        const isOver = remainingMs(this.#begin.deadline) <= commitPauseMs || isClosed(error)
        if (isOver) throw this.#giveUp(error)
        leaveBrokenConnection(this.session)
        await sleep(commitPauseMs)
      }
    }
  }

  async abort(): Promise<void> {
    leaveBrokenConnection(this.session)
    // It fails where there is nothing left to abort.
    await this.#send(() => this.session.abortTransaction()).catch(() => {})
    // The driver says nothing of an abort that the network swallowed, but it marks the session of every one that it may have.
    if (this.session.serverSession.isDirty) this.#discard()
  }

  /** True in its first statement: until then it has no snapshot, and holds nothing that others wait for. */
  get isFirst(): boolean {
    return this.#statements <= 1
  }

  get isRepeated(): boolean {
    return this.#begin.isRepeated ?? false
  }

  onEnd(call: (() => void) | undefined): void {
    if (call === undefined) return
    this.#onEnd ??= []
    this.#onEnd.push(call)
  }

  end(): Promise<void> {
    if (this.#onEnd) for (const call of this.#onEnd) call()
    return this.session.endSession()
  }

  #send<T>(send: () => Promise<T>): Promise<T> {
    return this.#pool.send(this.#begin.activity, send)
  }

  /** An error that the server does not call transient has not ended its transaction. */
  #refused(error: unknown, what: string): unknown {
    if (isServerError(error) && !hasLabel(error, 'TransientTransactionError')) this.#discard()
    return sessionTaken(what, error) ?? error
  }

  #giveUp(cause: unknown): Error {
    const { id } = this.#begin
    // Nobody will commit it any more: if it was not, its documents are to be free.
    this.#discard()
    if (this.#isSent) {
      return dbContextError(
        'COMMIT_UNKNOWN',
        `Commit of transaction ${id} was sent and not answered in time: ask the data`,
        {
          details: { transaction: id },
          cause,
        },
      )
    }
    const what = `commit of transaction ${id}`
    return isWaitQueueTimeout(cause) ? poolTimeout(what, this.#begin.activity, cause) : serverUnreachable(what, cause)
  }

  /** Not awaited: what keeps a commit or an abort waiting may keep this waiting too. */
  #discard(): void {
    // The driver would lend the session's id to the next session, whose transaction the kill would end then.
    this.session.serverSession.isDirty = true
    void this.#kill()
  }

  /**
   * The driver takes a transaction for over that it has tried to end. This ends it as soon as there is a connection, instead of when
   * the server does after a minute or more; one that was committed stays so.
   */
  async #kill(): Promise<void> {
    const lsid = this.session.id
    const deadline = deadlineIn(serverLifetimeMs)
    while (lsid && remainingMs(deadline) > 0) {
      try {
        await this.#pool.client.db('admin').command({ killSessions: [lsid] })
        return
      } catch (error) {
        if (!isWaitQueueTimeout(error) && !classify(error).transient) return
        await sleep(commitPauseMs, undefined, { ref: false })
      }
    }
  }
}

function refuseStart(): never {
  throw takenError('startTransaction')
}

const isUnsent = (error: unknown) =>
  isWaitQueueTimeout(error) || hasName(error, 'MongoServerSelectionError') || hasName(error, 'MongoNotConnectedError')

const isClosed = (error: unknown) =>
  hasName(error, 'MongoNotConnectedError') || hasName(error, 'MongoClientClosedError')

/**
 * True when it is sure that nothing was committed. The driver asks once more by itself, so even its first error may be
 * about a commit that was applied before: then the server has no such transaction, and does not call that transient.
 */
function isRefusal(error: unknown, sent: boolean): boolean {
  // The commit was applied; only its majority is not known.
  if (hasName(error, 'MongoWriteConcernError') || hasLabel(error, 'UnknownTransactionCommitResult')) return false
  if (hasLabel(error, 'TransientTransactionError')) return true
  if (sent || codeOf(error) === noSuchTransaction) return false
  return isServerError(error) || hasName(error, 'MongoTransactionError')
}
