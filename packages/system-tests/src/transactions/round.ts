import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CommandProxy, type Seed, startCommandProxy, until } from '@strata/testkit'
import type { TransactionFault } from './fault.ts'
import { type History, newStory, type Story } from './history.ts'
import { Ledger } from './ledger.ts'
import { type Participant, type Place, StrataParticipant } from './participant.ts'
import { drawPlans, type Load, loadDefault } from './plan.ts'
import type { Rig } from './rig.ts'

export interface RoundOptions {
  readonly fault: TransactionFault
  readonly seed: Seed
  readonly redisUrl: string
  /** Runs the transactions; Strata by default. */
  readonly participant?: (place: Place) => Participant
}

/** Beyond a deadline and all that may follow it: what has not ended by then is told as a hang. */
const endMsMax = 40_000

/** A lock that outlives its transaction by more than this is one that somebody else runs into. */
const heldMsMax = 5000

/** One fault, one seed: transactions over a database of their own, and everything that is seen of them. */
export class Round {
  readonly rig: Rig
  readonly seed: Seed
  readonly name = `transactions-${randomUUID().slice(0, 8)}`
  readonly stories: readonly Story[]
  readonly #options: RoundOptions
  readonly #load: Load
  readonly #ledger: Ledger
  readonly #mends: (() => Promise<unknown>)[] = []
  #bodies = 0
  #struck = 0

  constructor(rig: Rig, options: RoundOptions) {
    this.rig = rig
    this.seed = options.seed
    this.#options = options
    this.#load = { ...loadDefault, ...options.fault.load }
    this.stories = drawPlans(this.seed, this.#load).map(newStory)
    this.#ledger = new Ledger(rig.outside.db(this.name))
  }

  /** Runs it to the end, whatever the transactions do. @throws when the rig itself cannot go on */
  async run(): Promise<History> {
    const { fault } = this.#options
    await this.#ledger.prepare(this.stories.map(({ plan }) => plan))
    await using proxy = await this.#proxy()
    const participant = await this.#participant(proxy)
    try {
      await Promise.all([this.#runAll(participant), fault.strike?.(this)])
      for (const mend of this.#mends.splice(0)) await mend()
      const held = await this.#held(participant)
      await participant.settle()
      const explains = { any: [], hurried: [], ...fault.explains }
      return { stories: this.stories, held, explains, ...(await this.#ledger.read()) }
    } finally {
      for (const mend of this.#mends.splice(0)) await mend()
      await participant.close()
      await this.rig.endTransactions(this.name)
      await this.rig.outside.db(this.name).dropDatabase()
    }
  }

  /** How often the fault took place: a round in which it did not proves nothing. */
  get times(): number {
    return this.#struck
  }

  struck(times = 1): void {
    this.#struck += times
  }

  /** Resolves once so many bodies have come to their end, or all transactions have. */
  async untilBodies(count: number): Promise<void> {
    const haveEnded = () => this.#bodies >= count || this.stories.every(({ ended }) => ended)
    await until(haveEnded, { deadlineMs: 120_000, message: `${count} bodies to end`, everyMs: 2 })
  }

  /** Resolves once the primary has a commit of this round that no majority has, or all transactions have ended. */
  async untilCommittedAlone(): Promise<void> {
    const isAlone = async () => {
      const [here, everywhere] = await Promise.all([this.#ledger.count('local'), this.#ledger.count('majority')])
      return here > everywhere || this.stories.every(({ ended }) => ended)
    }
    await until(isAlone, { deadlineMs: 30_000, message: 'a commit that only the primary has', everyMs: 2 })
  }

  /** A drawn length of time, in which the fault lasts. */
  async lasts(min: number, max: number): Promise<void> {
    await sleep(this.seed.integer(min, max))
  }

  /** To be done when every transaction has ended, however. */
  onEnd(mend: () => Promise<unknown>): void {
    this.#mends.unshift(mend)
  }

  async #proxy(): Promise<CommandProxy | undefined> {
    const { server, balanced } = this.rig
    const isBalanced = this.seed.integer(0, 1) === 1
    if (!balanced) return undefined
    const breaks = this.#options.fault.breaks?.(this)
    return await startCommandProxy(isBalanced ? balanced.url : server.url, command => breaks?.(command))
  }

  async #participant(proxy: CommandProxy | undefined): Promise<Participant> {
    const { redisUrl, participant } = this.#options
    const url = proxy?.url ?? this.rig.server.url
    const onBody = () => {
      this.#bodies += 1
    }
    const place = { url, database: this.name, appName: this.name, redisUrl, onBody }
    if (participant) return participant(place)
    // As many connections as callers, or fewer: then transactions wait for each other's.
    return await StrataParticipant.open(place, this.seed.integer(1, this.#load.callers))
  }

  async #runAll(participant: Participant): Promise<void> {
    const waiting = [...this.stories]
    const caller = async () => {
      for (let story = waiting.shift(); story; story = waiting.shift()) await untilOver(participant.run(story), story)
    }
    await Promise.all(Array.from({ length: this.#load.callers }, caller))
  }

  async #held(participant: Participant): Promise<string[]> {
    let held = ['nobody knows what: it could not be asked']
    const isFree = async () => {
      const { length: open } = await this.rig.openTransactions(this.name)
      held = [...(await participant.held()), ...(open > 0 ? [`${open} open transactions on the server`] : [])]
      return held.length === 0
    }
    const given = { deadlineMs: heldMsMax, message: 'everything to be given back', everyMs: 50 }
    await until(isFree, given).catch(() => {})
    return held
  }
}

/** What does not end is left to the checker to tell. */
async function untilOver(running: Promise<void>, { plan }: Story): Promise<void> {
  const over = new AbortController()
  const late = sleep(plan.deadlineMs + endMsMax, undefined, { signal: over.signal }).catch(() => {})
  await Promise.race([running, late])
  over.abort()
}
