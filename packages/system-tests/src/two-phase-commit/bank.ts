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
import { until } from '@strata/testkit'
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
  /** Default 0: nothing is waited for longer than a lease. */
  readonly clockSkewMs?: number
  /** Knows the accounts by another name, as another version may, and so not what takes part in any record. */
  readonly isStranger?: boolean
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

  constructor({ mongo, name, leaseMs, clockSkewMs = 0, protocol, isStranger = false }: Place) {
    const store = mongoDatasource({ name: 'bank', url: mongo, database: name, appName: name, pool: { serviceMax: 12 } })
    this.#db = createDbContext({ datasources: [store], levels: { max: 1 }, report: silent })
    this.accounts = defineParticipant({
      name: isStranger ? 'strange' : 'accounts',
      datasource: store,
      collection: names.accounts,
    })
    this.transfer = transferOf({ accounts: this.accounts, field: 'balance' })
    this.commits = createTwoPhaseCommit({
      db: this.#db,
      datasource: store,
      definitions: [this.transfer],
      leaseMs,
      clockSkewMs,
      report: silent,
      ...(protocol && { protocol }),
    })
  }

  /** What a coordinator does with all of them, until it is gone or has nothing more to do. */
  async act(verb: Verb, plans: readonly TransferPlan[], onEnd: (told: Told) => void): Promise<void> {
    if (verb === 'recover') for (;;) await this.commits.recover()
    const acts: Readonly<Record<typeof verb, () => Promise<unknown>>> = {
      run: () => this.run(plans, onEnd),
      cancel: () => this.#cancel(plans, onEnd),
      stop: () => this.#stop(plans),
      resolve: () => this.resolve(onEnd),
    }
    await acts[verb]()
  }

  /** Runs all at the same time, and is stopped amid that. */
  async #stop(plans: readonly TransferPlan[]): Promise<void> {
    const running = Promise.allSettled(plans.map(({ id, ...input }) => this.commits.run(this.transfer, { id, input })))
    const isBegun = async () => (await this.commits.list()).length === plans.length
    await until(isBegun, { deadlineMs: 30_000, message: 'all transfers to be begun' })
    await this.commits.stop({ deadlineMs: 100 })
    await running
  }

  /** As a person does with what is stuck. What meanwhile is not any more is left. */
  async resolve(onEnd: (told: Told) => void): Promise<void> {
    for (const { id, state } of await this.commits.list({ stuck: true })) {
      const as = state === 'applied' ? 'done' : 'canceled'
      const isOver = async () => {
        try {
          onEnd({ id, state: (await this.commits.resolve(id, { as, by: 'the rig' })).state })
        } catch (error) {
          // As its error says: again, once nothing can come late.
          if (hasCode(error, 'TWO_PHASE_NOT_SETTLED')) return false
          if (!hasCode(error, 'TWO_PHASE_NOT_STUCK')) throw error
        }
        return true
      }
      await until(isOver, { deadlineMs: 30_000, message: `${id} to be settled` })
    }
  }

  async #cancel(plans: readonly TransferPlan[], onEnd: (told: Told) => void): Promise<void> {
    for (const { id, ...input } of plans) {
      await this.commits.submit(this.transfer, { id, input })
      onEnd({ id, state: (await this.commits.cancel(id)).state })
    }
  }

  /** Runs all to their ends, one after the other. */
  async run(plans: readonly TransferPlan[], onEnd: (told: Told) => void = silent): Promise<void> {
    for (const plan of plans) {
      const state = await this.#runOne(plan)
      // One for which only time is missing is told of before its end.
      if (state === 'done' || state === 'canceled') onEnd({ id: plan.id, state })
    }
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
