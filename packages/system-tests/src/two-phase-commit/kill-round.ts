import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Protocol } from '@strata/consistency/two-phase-commit'
import { type Seed, until } from '@strata/testkit'
import { MongoClient } from 'mongodb'
import { Bank, names, type Place, type Told } from './bank.ts'
import { isApply, type TwoPhaseFault } from './faults.ts'
import type { Account, TwoPhaseHistory } from './history.ts'
import { accountIds, balances, drawTransfers, type TransferPlan } from './plan.ts'
import { strike } from './victim.ts'

export interface KillRoundOptions {
  readonly fault: TwoPhaseFault
  readonly seed: Seed
  readonly mongo: string
  readonly as: 'process' | 'cut'
  readonly protocol?: Protocol
}

const transfers = 4
const leaseMs = 600
const quietMsMax = 60_000

/** Between two reads of the sum, which are to find the transfers under way and not keep them from it. */
const readMs = 10

const applied: TwoPhaseFault = {
  name: 'an update that is written',
  about: 'A coordinator is gone when it has written an update',
  verb: 'run',
  isStep: isApply,
  when: 'after',
  timesMax: 1,
}

/** One write, one seed: a coordinator is gone there, and two others end everything, at the same time, while sums are read. */
export async function playKill({ fault, seed, mongo, as, protocol }: KillRoundOptions): Promise<TwoPhaseHistory> {
  const place = { mongo, name: `two-phase-${randomUUID().slice(0, 8)}`, leaseMs, ...(protocol && { protocol }) }
  await using table = await Table.open(place)
  const plans = drawTransfers(seed, transfers)
  const reading = table.read()
  // What a recoverer is to take over somebody has to have left.
  const left = fault.verb === 'recover' ? await strike({ place, fault: applied, seed, plans, as: 'cut' }) : []
  const told = [...left, ...(await strike({ place, fault, seed, plans, as }))]
  await Promise.all([table.recover(0), table.recover(1)])
  // As its callers would: the same ids again.
  await table.banks[0].run(plans, each => told.push(each))
  const sums = await reading()
  return await table.history({ plans, told, sums })
}

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
      transactions: await commits.list(),
      accounts: await this.client.db(this.#place.name).collection<Account>(names.accounts).find().toArray(),
      takenAgain: taken,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
