import type { DbContext } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'
import { type Report, safely, warn } from '../report.ts'
import type { AnyTwoPhase, TwoPhaseDefinition, TwoPhaseInput } from './definition.ts'
import { createEngine } from './engine.ts'
import { facadeOf } from './facade.ts'
import type { ListOptions } from './listing.ts'
import type { InDoubt } from './metrics.ts'
import { MongoStore } from './mongo-store.ts'
import type { DocumentId, Participant } from './participant.ts'
import type { ReadDocument } from './reading.ts'
import type { RecoverOptions, Recovery } from './recovery.ts'
import type { Resolve } from './resolving.ts'
import { type Bounds, whole } from './settings.ts'
import type { Protocol } from './table.ts'
import type { TwoPhaseTransaction } from './transaction.ts'

export interface TwoPhaseCommitOptions extends Partial<Bounds> {
  readonly db: Pick<DbContext, 'current'>
  /** Where the records are. */
  readonly datasource: MongoDatasource
  readonly definitions: readonly AnyTwoPhase[]
  /** Default `strata.transactions`. */
  readonly collection?: string
  /**
   * For how long a claim lasts without being renewed: after that another takes a transaction over. Default 10,000 ms, 100 to 600,000.
   * Half of it is what one write may take; a participant whose clock is ahead of the records' by that much refuses every step.
   */
  readonly leaseMs?: number
  /** For how long records are kept after their end: default 7 days, at least an hour beside `leaseMs + clockSkewMs`. */
  readonly windowMs?: number
  /** By how much the clocks of two servers differ at most, and one from itself after a failover: default 10,000 ms. */
  readonly clockSkewMs?: number
  /** How many entries, and how many tombstones, a document takes before it refuses more (`TWO_PHASE_CROWDED`): default 1,000. */
  readonly entriesMax?: number
  /** How often `start` recovers: default 5,000 ms, 10 to an hour. */
  readonly recoverEveryMs?: number
  /** Receives what scheduled recovery finds for a person, once while it is the same, and what it fails with. Default: a process warning. */
  readonly report?: Report
  /** The rules it runs by. Another one than the default is for showing what a rule is there for. */
  readonly protocol?: Protocol
}

export interface RunOptions<Definition extends TwoPhaseDefinition> {
  /**
   * 1 to 200 characters, not as `reverseId` makes them; default a random one. The same id is the same transaction, whoever runs it, for
   * `windowMs` after its end.
   */
  readonly id?: string
  readonly input: TwoPhaseInput<Definition>
  /** How long the caller waits for the end: default 10,000 ms. The transaction goes on after it. */
  readonly deadlineMs?: number
}

interface WaitOptions {
  readonly deadlineMs?: number
}

/**
 * Two-phase commits: writes to several documents, of any collections, databases and servers, that all come into force or none does.
 *
 * Guaranteed: each participant's update is made at most once, and only where its guard holds in that same write; a transaction ends
 * `done` or `canceled`, never both and never in part, whoever is killed or paused when, as soon as somebody recovers. What is in force is
 * never rolled back.
 *
 * Not guaranteed: isolation. Others see documents before the transaction is in force; `read` tells what is visible and what is pending,
 * and a guard made with `atLeast` does not spend what may be taken back. Not the order of two transactions.
 */
export interface TwoPhaseCommit extends AsyncDisposable {
  /**
   * Runs a transaction, or the one there is of this id. Resolves with its end, or with how far it is at the deadline: `canceled` is an
   * end, whose `cause` says why. Writes at once, and in the name of nobody's transaction.
   *
   * @throws TWO_PHASE_INPUT_INVALID, TWO_PHASE_ID_INVALID, TWO_PHASE_ID_REUSED, TWO_PHASE_IN_TRANSACTION,
   * TWO_PHASE_DEFINITION_UNKNOWN, STOPPED, what the datasource says of a record that was not made (all `not-applied`),
   * TWO_PHASE_RECORD_INVALID, TWO_PHASE_INTERRUPTED (`unknown`: do it again with the id)
   */
  run<Definition extends TwoPhaseDefinition>(
    definition: Definition,
    options: RunOptions<Definition>,
  ): Promise<TwoPhaseTransaction>
  /** Makes the record and leaves the rest to recovery, or to a later `run` with this id. @throws as `run` */
  submit<Definition extends TwoPhaseDefinition>(
    definition: Definition,
    options: Omit<RunOptions<Definition>, 'deadlineMs'>,
  ): Promise<TwoPhaseTransaction>
  /** Undefined where there is none, or its window is over. */
  get(id: string): Promise<TwoPhaseTransaction | undefined>
  /**
   * Cancels one that is not in force yet, whoever works on it. Idempotent.
   *
   * @throws TWO_PHASE_TOO_LATE (`applied`), TWO_PHASE_NOT_FOUND, TWO_PHASE_ID_INVALID, TWO_PHASE_IN_TRANSACTION, STOPPED (`not-applied`),
   * TWO_PHASE_RECORD_INVALID, TWO_PHASE_INTERRUPTED (`unknown`)
   */
  cancel(id: string, options?: WaitOptions): Promise<TwoPhaseTransaction>
  /**
   * Makes one with the roles exchanged of one that is `done`, once: its id is `reverseId(id)`. Its guards may cancel it, for good.
   *
   * @throws TWO_PHASE_NOT_DONE, TWO_PHASE_NOT_FOUND, TWO_PHASE_ID_INVALID, TWO_PHASE_IN_TRANSACTION, STOPPED (`not-applied`),
   * TWO_PHASE_RECORD_INVALID, TWO_PHASE_INTERRUPTED (`unknown`)
   */
  reverse(id: string, options?: WaitOptions): Promise<TwoPhaseTransaction>
  /** Takes up what nobody works on, one bounded batch; anywhere and any number of times. */
  recover(options?: RecoverOptions): Promise<Recovery>
  /** Oldest in their state first. Those that this version cannot read are listed by `state: 'unreadable'` only. */
  list(options?: ListOptions): Promise<TwoPhaseTransaction[]>
  /** How many have not ended, by state, and how old the oldest is. */
  inDoubt(): Promise<InDoubt[]>
  /**
   * A person's decision on one that is stuck: what it still has on documents is removed without any effect, and `resolved.left` names
   * those that the person has to correct then, since nobody touches them for it any more.
   *
   * @throws TWO_PHASE_NOT_STUCK, TWO_PHASE_NOT_SETTLED, TWO_PHASE_NOT_FOUND, TWO_PHASE_ID_INVALID, TWO_PHASE_DEFINITION_UNKNOWN (`not-applied`: this process has
   * none that uses one of the participants), TWO_PHASE_INTERRUPTED (`unknown`: do it again)
   */
  resolve(id: string, options: Omit<Resolve, 'id'>): Promise<TwoPhaseTransaction>
  /** Documents by what is in force, and what is pending. Those that are not there are left out. */
  read(participant: Participant, ids: readonly DocumentId[]): Promise<ReadDocument[]>
  /** Creates the collections and indexes that are missing; at the start of every process. Idempotent. @throws DEFINITION_BLOCKED */
  ensureIndexes(): Promise<void>
  /** Recovers from now on, every `recoverEveryMs`. Idempotent. */
  start(): void
  /** Recovers no more, and lets what runs go on for `deadlineMs` (5,000); the rest is taken over by others. Idempotent. */
  stop(options?: WaitOptions): Promise<void>
}

/** Makes an engine; nothing is opened before its first use. @throws CONFIG */
export function createTwoPhaseCommit(options: TwoPhaseCommitOptions): TwoPhaseCommit {
  const { db, datasource, definitions, collection = 'strata.transactions', recoverEveryMs = 5000 } = options
  const store = new MongoStore(datasource, collection)
  const engine = createEngine({ ...options, store })
  const report = safely(options.report ?? warn)
  whole('recoverEveryMs', recoverEveryMs, { min: 10, max: 3_600_000 })
  return {
    ...facadeOf({ engine, db, definitions, recoverEveryMs, report }),
    async ensureIndexes() {
      await store.ensureIndexes(engine.windowMs)
      await store.ensureParticipants(engine.participants.values())
    },
  }
}
