import {
  createTwoPhaseCommit,
  defineParticipant,
  type Participant,
  type Protocol,
  type TransactionState,
  type TransferDefinition,
  type TwoPhaseCommit,
  transferOf,
} from '@strata/consistency/two-phase-commit'
import { createDbContext, type DbContext, hasCode } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import type { Verb } from './faults.ts'
import type { TransferPlan } from './plan.ts'

export const names = { accounts: 'accounts', records: 'strata.transactions' } as const

/** Where a round takes place. */
export interface Place {
  readonly mongo: string
  /** Names the database. */
  readonly name: string
  /** Short, so that a round is. */
  readonly leaseMs: number
  /** Other rules than the engine's own, for showing what one is there for. */
  readonly protocol?: Protocol
}

/** What a process was told of a transfer. */
export interface Told {
  readonly id: string
  readonly state: TransactionState
}

const silent = () => {}
const triesMax = 5

/** What one process of a round has. */
export class Bank implements AsyncDisposable {
  readonly commits: TwoPhaseCommit
  readonly transfer: TransferDefinition
  readonly accounts: Participant
  readonly #db: DbContext

  constructor({ mongo, name, leaseMs, protocol }: Place) {
    const store = mongoDatasource({ name: 'bank', url: mongo, database: name, appName: name, pool: { serviceMax: 4 } })
    this.#db = createDbContext({ datasources: [store], levels: { max: 1 }, report: silent })
    this.accounts = defineParticipant({ name: 'accounts', datasource: store, collection: names.accounts })
    this.transfer = transferOf({ accounts: this.accounts, field: 'balance' })
    this.commits = createTwoPhaseCommit({
      db: this.#db,
      datasource: store,
      definitions: [this.transfer],
      leaseMs,
      clockSkewMs: 0,
      report: silent,
      ...(protocol && { protocol }),
    })
  }

  /** What a coordinator does with all of them, until it is gone or has nothing more to do. */
  async act(verb: Verb, plans: readonly TransferPlan[], onEnd: (told: Told) => void): Promise<void> {
    if (verb === 'run') await this.run(plans, onEnd)
    else if (verb === 'cancel') await this.#cancel(plans, onEnd)
    else for (;;) await this.commits.recover()
  }

  async #cancel(plans: readonly TransferPlan[], onEnd: (told: Told) => void): Promise<void> {
    for (const { id, ...input } of plans) {
      await this.commits.submit(this.transfer, { id, input })
      onEnd({ id, state: (await this.commits.cancel(id)).state })
    }
  }

  /** Runs all to their ends, one after the other. */
  async run(plans: readonly TransferPlan[], onEnd: (told: Told) => void = silent): Promise<void> {
    for (const plan of plans) onEnd({ id: plan.id, state: await this.#runOne(plan) })
  }

  /** As its error says: again, under its id. On a busy machine a lease this short may be over before anything is done. */
  async #runOne({ id, ...input }: TransferPlan): Promise<TransactionState> {
    for (let tries = 1; ; tries += 1) {
      try {
        return (await this.commits.run(this.transfer, { id, input, deadlineMs: 60_000 })).state
      } catch (error) {
        if (tries === triesMax || !hasCode(error, 'TWO_PHASE_INTERRUPTED')) throw error
      }
    }
  }

  /** The sum of what can be seen at one moment. */
  async visible(ids: readonly string[]): Promise<number> {
    const documents = await this.commits.read(this.accounts, ids)
    return documents.reduce((sum, { visible }) => sum + Number(visible['balance']), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.commits.stop({ deadlineMs: 1000 })
    await this.#db.stop({ deadlineMs: 1000 })
  }
}
