import { randomUUID } from 'node:crypto'
import { type Seed, until } from '@strata/testkit'
import type { Rig } from '../transactions/rig.ts'
import type { FailoverFault } from './faults.ts'
import type { OutboxHistory, Told } from './history.ts'
import { drawPlans, type OutboxPlan } from './plan.ts'
import type { Place } from './process/messages.ts'
import { Participant } from './process/participant.ts'
import { RedisPair } from './redis-pair.ts'
import { Station } from './station.ts'

export interface FailoverRoundOptions {
  readonly fault: FailoverFault
  readonly seed: Seed
  readonly mongo: string
  readonly redis: string
  /** Three servers, for those of MongoDB. */
  readonly rig?: Rig
}

const keys = 4
const callers = 4
const batch = 20

/** So many transactions at most: they go on until the server is replaced, and a while longer. */
const transactionsMax = 4000

/** The outbox's own: what is sent in one go, and so what one interruption may leave sent and not noted. */
const batchMax = 500
const publishers = 3

const strikeMsMax = 60_000

/** One failover, one seed: two processes commit, one of them without publishing, and two relay. */
export async function playFailover(options: FailoverRoundOptions): Promise<OutboxHistory> {
  const { fault, seed, mongo, rig } = options
  const name = `outbox-${randomUUID().slice(0, 8)}`
  await using undo = new AsyncDisposableStack()
  const pair = fault.how === 'redis-failed-over' ? undo.use(await RedisPair.start()) : undefined
  const place: Place = {
    mongo: rig?.server.url ?? mongo,
    redis: pair?.url ?? options.redis,
    name,
    publishes: true,
    wired: true,
  }
  const station = undo.use(await Station.open(place, keys))
  const open = async (publishes: boolean) => undo.use(await Participant.open({ ...place, publishes }))
  const [publishing, committing, relaying] = [await open(true), await open(false), await open(true)]
  for (const each of [station.participant, relaying]) each.relay()
  const load = new Load(seed, [publishing, committing])
  const mend = await load.runDuring(async () => {
    const first = seed.integer(5, 40)
    await until(() => station.arrived >= first, { deadlineMs: strikeMsMax, message: `${first} jobs`, everyMs: 2 })
    return fault.how === 'redis-failed-over'
      ? await pair?.failOver(name, seed)
      : await rig?.replacePrimary(fault.how, seed)
  })
  await mend?.()
  await station.settle({ lost: pair?.missing })
  const history = await station.history(load.told, publishers * batchMax)
  return pair ? { ...history, ...(await pair.seen(history)) } : history
}

/** Transactions that begin for as long as something happens, and a while after it. */
class Load {
  readonly #plans: OutboxPlan[]
  readonly #committers: readonly Participant[]
  readonly told: Told[] = []

  constructor(seed: Seed, committers: readonly Participant[]) {
    this.#plans = drawPlans(seed, { transactions: transactionsMax, keys })
    this.#committers = committers
  }

  async runDuring<T>(happens: () => Promise<T>): Promise<T> {
    let isOver = false
    const happening = happens().finally(() => {
      isOver = true
    })
    const each = async (committer: Participant) => {
      while (!isOver && this.#plans.length > batch) await this.#commit(committer)
      await this.#commit(committer)
    }
    const [done] = await Promise.all([happening, ...this.#committers.map(each)])
    return done
  }

  async #commit(committer: Participant): Promise<void> {
    await committer.commit(this.#plans.splice(0, batch), callers, told => void this.told.push(told))
  }
}
