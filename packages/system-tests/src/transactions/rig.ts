import {
  type LoadBalancedProxy,
  type Member,
  type Seed,
  type ServerHandle,
  startLoadBalancedProxy,
  startMongo,
  until,
} from '@strata/testkit'
import { type Document, MongoClient } from 'mongodb'

/** How a primary comes to be one no more. */
export type PrimaryEnd = 'primary-killed' | 'primary-stepped-down'

const replaceMsMax = 60_000

/** Servers that one round after the other is played on, with the test commands that fail points need. */
export class Rig implements AsyncDisposable {
  readonly server: ServerHandle
  /** The same servers behind a load balancer; only of a set of one. */
  readonly balanced: LoadBalancedProxy | undefined
  /** The rig's own connections, past all proxies, and known to the server by another name. */
  readonly outside: MongoClient

  private constructor(server: ServerHandle, balanced: LoadBalancedProxy | undefined) {
    this.server = server
    this.balanced = balanced
    this.outside = new MongoClient(server.url, {
      appName: 'rig',
      readConcern: { level: 'majority' },
      writeConcern: { w: 'majority' },
    })
  }

  static async start(members: 1 | 3): Promise<Rig> {
    const mongoArgs = ['--setParameter', 'enableTestCommands=1']
    const server = await startMongo({ members, mongoArgs, private: true, report: () => {} })
    const rig = new Rig(server, members === 1 ? await startLoadBalancedProxy(server.url) : undefined)
    await rig.outside.connect()
    return rig
  }

  /** Makes the next `times` of some commands of one application fail. Returns a way to end it that tells how many did. */
  async failCommands(times: number, data: Document): Promise<() => Promise<number>> {
    const before = await this.#endFailing()
    await this.outside.db('admin').command({ configureFailPoint: 'failCommand', mode: { times }, data })
    return async () => (await this.#endFailing()) - before
  }

  /** The sessions in which the server holds transactions open for an application, idle ones included. */
  async openTransactions(appName: string): Promise<Document[]> {
    const all = [{ $currentOp: { allUsers: true, idleSessions: true } }]
    const operations = this.outside.db('admin').aggregate(all, { readConcern: { level: 'local' } })
    const open = (await operations.toArray()).filter(each => each['appName'] === appName && each['transaction'])
    return open.map(({ lsid }) => ({ id: lsid.id }))
  }

  /** A round that has told of them must not wait for the server to end them. */
  async endTransactions(appName: string): Promise<void> {
    const open = await this.openTransactions(appName)
    if (open.length > 0) await this.outside.db('admin').command({ killSessions: open })
  }

  /** The process of the primary. @throws where the server came from a container */
  async primary(): Promise<Member> {
    const { primary } = await this.outside.db('admin').command({ hello: 1 })
    const member = this.server.members.find(({ port }) => String(primary).endsWith(`:${port}`))
    if (!member) throw new Error('This fault kills a server and needs a program of its own: STRATA_MONGO=wheel')
    return member
  }

  /** Lets the secondaries receive nothing more until the result is called. */
  async stopReplication(): Promise<() => Promise<void>> {
    const primary = await this.primary()
    const secondaries = this.server.members.filter(member => member !== primary)
    const each = async (mode: string): Promise<void> => {
      await Promise.all(
        secondaries.map(({ port }) => this.#failPointOf(port, { configureFailPoint: 'stopReplProducer', mode })),
      )
    }
    await each('alwaysOn')
    return () => each('off')
  }

  /** The primary steps down, after it has waited for the others to catch up, or at once. */
  async stepDown(waits: boolean): Promise<void> {
    const order = { replSetStepDown: 10, secondaryCatchUpPeriodSecs: waits ? 5 : 0, force: !waits }
    await this.outside.db('admin').command(order)
  }

  /** Resolves when there is another primary, with what is to be done afterwards. */
  async replacePrimary(how: PrimaryEnd, seed: Seed): Promise<() => Promise<void>> {
    const before = await this.primary()
    if (how === 'primary-killed') before.kill('SIGKILL')
    else await this.stepDown(seed.integer(0, 1) === 1)
    const isReplaced = async () => (await this.primary().catch(() => before)) !== before
    await until(isReplaced, { deadlineMs: replaceMsMax, message: 'another primary', everyMs: 50 })
    return async () => {
      if (how === 'primary-killed') await before.restart()
      await this.untilSettled()
    }
  }

  /** Resolves when all members are up and one is the primary. */
  async untilSettled(): Promise<void> {
    const isSettled = async () => {
      const { members } = await this.outside.db('admin').command({ replSetGetStatus: 1 })
      const states = (members as { stateStr: string }[]).map(({ stateStr }) => stateStr).sort()
      return states.join() === 'PRIMARY,SECONDARY,SECONDARY'
    }
    await until(isSettled, { deadlineMs: 60_000, message: 'a primary and two secondaries' })
  }

  async #failPointOf(port: number, command: Document): Promise<void> {
    const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`)
    try {
      await client.db('admin').command(command)
    } finally {
      await client.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.outside.close()
    await this.balanced?.stop()
    await this.server.stop()
  }

  /** How often it has struck since the server was started. */
  async #endFailing(): Promise<number> {
    const answer = await this.outside.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' })
    return Number(answer['count'])
  }
}
