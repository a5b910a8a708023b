import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@strata/testkit'
import { MongoClient } from 'mongodb'
import { Bank, names, type Place, type Told } from './bank.ts'
import type { Account, TwoPhaseHistory } from './history.ts'
import { accountIds, balances, type TransferPlan } from './plan.ts'

const quietMsMax = 60_000

/** Between two reads of the sum, which are to find the transfers under way and not keep them from it. */
const readMs = 10

/** The rig's own part of a round: the accounts, and whoever goes on after the one that is gone. */
export class Table implements AsyncDisposable {
  readonly banks: readonly [Bank, Bank]
  readonly client: MongoClient
  readonly #place: Place
  readonly #stack: AsyncDisposableStack

  private constructor(place: Place, client: MongoClient, stack: AsyncDisposableStack) {
    this.#place = place
    this.client = client
    this.#stack = stack
    this.banks = [stack.use(new Bank(place)), stack.use(new Bank(place))]
  }

  static async open(place: Place): Promise<Table> {
    await using undo = new AsyncDisposableStack()
    const client = await new MongoClient(place.mongo).connect()
    undo.defer(() => client.close())
    undo.defer(async () => void (await client.db(place.name).dropDatabase()))
    const accounts = client.db(place.name).collection<Account>(names.accounts)
    await accounts.insertMany(Object.entries(balances).map(([_id, balance]) => ({ _id, balance })))
    const table = new Table(place, client, undo.move())
    await table.banks[0].commits.ensureIndexes()
    return table
  }

  /** Takes up whatever nobody works on, until nothing is open. */
  async recover(of: 0 | 1): Promise<void> {
    const { commits } = this.banks[of]
    const isQuiet = async () => {
      await commits.recover()
      return (await commits.inDoubt()).length === 0
    }
    // Where it never is, the checker says what is open.
    await until(isQuiet, { deadlineMs: quietMsMax, message: 'every transfer to end', everyMs: 50 }).catch(() => {})
  }

  /** Has what is left taken up by one that does not know its participants, until it is there for a person. */
  async stick(): Promise<void> {
    await using stranger = new Bank({ ...this.#place, isStranger: true })
    const isStuck = async () => {
      await stranger.commits.recover()
      return (await stranger.commits.list({ stuck: true })).length > 0
    }
    await until(isStuck, { deadlineMs: quietMsMax, message: 'a transfer to be stuck', everyMs: 50 })
  }

  /** Resolves what is stuck, until nothing is. */
  async resolve(onEnd: (told: Told) => void): Promise<void> {
    const [bank] = this.banks
    const isResolved = async () => {
      await bank.resolve(onEnd)
      return (await bank.commits.list({ stuck: true })).length === 0
    }
    await until(isResolved, { deadlineMs: quietMsMax, message: 'nothing to be stuck', everyMs: 50 })
  }

  /** Takes what a person was told to be left on documents from them; once, when all has ended. */
  async correct(plans: readonly TransferPlan[]): Promise<void> {
    const accounts = this.client.db(this.#place.name).collection<Account>(names.accounts)
    for (const { id, state, resolved } of await this.banks[0].commits.list()) {
      const plan = plans.find(each => each.id === id)
      if (!plan || !resolved || state !== 'canceled') continue
      for (const { id: account } of resolved.left) {
        const by = account === plan.from ? plan.amount : -plan.amount
        await accounts.updateOne({ _id: String(account) }, { $inc: { balance: by } })
      }
    }
  }

  /** Reads the sum of what is visible again and again. @returns what ends it, and gives the sums */
  read(): () => Promise<number[]> {
    const sums: number[] = []
    let isOver = false
    const reading = (async () => {
      for (; !isOver; await sleep(readMs)) sums.push(await this.banks[1].visible(accountIds))
    })()
    // The round may have failed before anybody asks.
    reading.catch(() => {})
    return async () => {
      isOver = true
      await reading
      return sums
    }
  }

  async history(of: {
    plans: readonly TransferPlan[]
    told: readonly Told[]
    sums: readonly number[]
  }): Promise<TwoPhaseHistory> {
    const [{ commits }] = this.banks
    const { taken } = await commits.recover()
    return {
      ...of,
      transactions: await commits.list({ limit: 1000 }),
      accounts: await this.client.db(this.#place.name).collection<Account>(names.accounts).find().toArray(),
      takenAgain: taken,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
