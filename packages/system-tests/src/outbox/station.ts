import { until } from '@strata/testkit'
import { type Db, MongoClient } from 'mongodb'
import { Arrivals } from './arrivals.ts'
import type { Kept, OutboxHistory, Told } from './history.ts'
import { keyNames } from './plan.ts'
import type { Place } from './process/messages.ts'
import { type Counter, type Effect, followed, names, Participant } from './process/participant.ts'

const quietMsMax = 120_000

/** The rig's own part of a round: it takes the jobs, looks at what is there, and takes over from processes that are gone. */
export class Station implements AsyncDisposable {
  readonly participant: Participant
  readonly #data: Db
  readonly #stack: AsyncDisposableStack
  readonly #arrivals: Arrivals
  readonly #runs = new Map<string, number>()

  private constructor(participant: Participant, client: MongoClient, { place, stack }: Opened) {
    this.participant = participant
    this.#data = client.db(place.name)
    this.#stack = stack
    this.#arrivals = stack.use(new Arrivals(place.redis, participant.queues.queue(followed).toKey('events')))
  }

  static async open(place: Place, keys: number): Promise<Station> {
    await using undo = new AsyncDisposableStack()
    const client = await new MongoClient(place.mongo).connect()
    undo.defer(() => client.close())
    undo.defer(() => clear(client, place.name))
    const participant = undo.use(await Participant.open(place))
    const data = client.db(place.name)
    await data.collection<Counter>(names.counters).insertMany(keyNames(keys).map(_id => ({ _id, n: 0 })))
    for (const name of [names.kept, names.effects]) await data.createCollection(name)
    const stack = undo.move()
    const station = new Station(participant, client, { place, stack })
    stack.use(await participant.work(push => station.#runs.set(push, (station.#runs.get(push) ?? 0) + 1)))
    return station
  }

  /** Rows that are not noted as published. */
  async openRows(): Promise<number> {
    return await this.#data.collection(names.rows).countDocuments({ open: true })
  }

  /**
   * Waits until everything that is committed has been published and has had its effect, or until nobody would wait for it any
   * longer: the checker says what is missing.
   */
  async settle({ waitMs = quietMsMax, lost = none }: Settling = {}): Promise<void> {
    const queue = this.participant.queues.queue(followed)
    const isQuiet = async () => {
      const open = await this.openRows()
      const { waiting, active, delayed } = await queue.getJobCounts('waiting', 'active', 'delayed')
      return open + Number(waiting) + Number(active) + Number(delayed) === 0 && (await this.#haveAllCome(lost))
    }
    const isQuietNow = () => isQuiet().catch(() => false)
    await until(isQuietNow, { deadlineMs: waitMs, message: 'the outbox to be empty', everyMs: 100 }).catch(() => {})
  }

  /** How many jobs came so far. */
  get arrived(): number {
    return this.#arrivals.sent.length
  }

  async history(told: readonly Told[], duplicatesMax: number): Promise<OutboxHistory> {
    const effects = await this.#data.collection<Effect>(names.effects).find().toArray()
    return {
      kept: await this.#data.collection<Kept>(names.kept).find().toArray(),
      sent: [...this.#arrivals.sent],
      told,
      runs: this.#runs,
      effects: effects.map(({ push }) => push),
      left: await this.openRows(),
      duplicatesMax,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async #haveAllCome(lost: ReadonlySet<string>): Promise<boolean> {
    const [kept, effects] = [this.#data.collection<Kept>(names.kept), this.#data.collection<Effect>(names.effects)]
    const arrived = new Set(this.#arrivals.sent.map(({ job }) => job)).size
    const missing = (await kept.countDocuments()) - Math.min(await effects.countDocuments(), arrived)
    if (missing <= 0 || lost.size === 0) return missing <= 0
    const had = new Set((await effects.find().toArray()).map(({ push }) => push))
    return (await kept.find().toArray()).every(({ _id, job }) => had.has(_id) || lost.has(job))
  }
}

interface Settling {
  readonly waitMs?: number | undefined
  /** Jobs that nobody has to wait for. */
  readonly lost?: ReadonlySet<string> | undefined
}

const none: ReadonlySet<string> = new Set()

/** What a killed process has left open would keep the database from being dropped until the server ends it. */
async function clear(client: MongoClient, name: string): Promise<void> {
  const admin = client.db('admin')
  const all = [{ $currentOp: { allUsers: true, idleSessions: true } }]
  const operations = await admin.aggregate(all, { readConcern: { level: 'local' } }).toArray()
  const open = operations.filter(each => each['appName'] === name && each['transaction'])
  if (open.length > 0) await admin.command({ killSessions: open.map(({ lsid }) => ({ id: lsid.id })) })
  await client.db(name).dropDatabase()
}

interface Opened {
  readonly place: Place
  readonly stack: AsyncDisposableStack
}
