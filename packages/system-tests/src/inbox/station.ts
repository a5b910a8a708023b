import { until } from '@strata/testkit'
import { type Db, type Document, MongoClient } from 'mongodb'
import type { InboxFault } from './faults.ts'
import type { Remembered, Stamped } from './history.ts'
import type { Place } from './process/messages.ts'
import { names } from './process/names.ts'
import type { Effect } from './process/participant.ts'

const quietMsMax = 60_000

interface Row {
  readonly _id: string
  readonly result?: string
  readonly answer?: string
}

/** What the rig sees of a round: past all proxies, and with nothing of Strata. */
export class Station implements AsyncDisposable {
  readonly #client: MongoClient
  readonly #data: Db
  readonly #name: string

  private constructor(client: MongoClient, name: string) {
    this.#client = client
    this.#data = client.db(name)
    this.#name = name
  }

  static async open({ mongo, name }: Place): Promise<Station> {
    const station = new Station(await new MongoClient(mongo, { appName: 'rig' }).connect(), name)
    await station.#data.createCollection(names.effects)
    return station
  }

  /** The transactions of dead processes: without it the others end them when they have not heard of those for 10 s. */
  async endTransactions(app: string = this.#name): Promise<void> {
    const open = await this.#openTransactions(app)
    if (open.length === 0) return
    await this.#client.db('admin').command({ killSessions: open.map(({ lsid }) => ({ id: lsid.id })) })
  }

  /** How many are open still, once nobody would wait any longer that they are ended. */
  async openAfterAll(): Promise<number> {
    let open = 0
    const isQuiet = async () => {
      open = (await this.#openTransactions(this.#name)).length
      return open === 0
    }
    const options = { deadlineMs: quietMsMax, everyMs: 100, message: 'all transactions to be over' }
    await until(isQuiet, options).catch(() => {})
    return open
  }

  async effects(): Promise<Stamped[]> {
    const effects = await this.#data.collection<Effect>(names.effects).find().toArray()
    return effects.map(({ _id, message }) => ({ message, stamp: _id }))
  }

  async rows({ victim }: InboxFault): Promise<Remembered[]> {
    const rows = await this.#data.collection<Row>(names.rows[victim]).find().toArray()
    return rows.map(({ _id, result, answer }) => {
      const stored = result ?? answer
      const message = _id.slice(_id.indexOf(' ') + 1)
      return stored === undefined ? { message } : { message, stamp: String(JSON.parse(stored).stamp) }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endTransactions()
    await this.#data.dropDatabase()
    await this.#client.close()
  }

  async #openTransactions(app: string): Promise<Document[]> {
    const all = [{ $currentOp: { allUsers: true, idleSessions: true } }]
    const operations = await this.#client
      .db('admin')
      .aggregate(all, { readConcern: { level: 'local' } })
      .toArray()
    return operations.filter(each => each['transaction'] && String(each['appName']).startsWith(app))
  }
}
