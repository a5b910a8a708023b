import { type FaultProxy, type Seed, type ServerHandle, startFaultProxy, startRedis, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { readArrivals } from './arrivals.ts'
import type { OutboxHistory, Sent } from './history.ts'

const eventsOf = (name: string) => `${name}:followed:events`
const waitMsMax = 30_000

// What Redis has answered is on the disk of a server that is killed: so it can be asked afterwards what it had taken.
const redisArgs = ['--appendfsync', 'always']

/** A Redis and its replica behind one address. */
export class RedisPair implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  readonly #servers: { readonly master: ServerHandle; readonly replica: ServerHandle }
  readonly #proxy: FaultProxy
  /** Jobs that the first had taken and the second has not received. */
  readonly missing = new Set<string>()
  #before: readonly Sent[] = []
  #received = 0
  #name = ''

  private constructor(master: ServerHandle, replica: ServerHandle, proxy: FaultProxy) {
    this.#servers = { master, replica }
    this.#proxy = proxy
    for (const each of [proxy, master, replica]) this.#stack.use(each)
  }

  static async start(): Promise<RedisPair> {
    const start = () => startRedis({ private: true, redisArgs, report: () => {} })
    const [master, replica] = await Promise.all([start(), start()])
    const pair = new RedisPair(master, replica, await startFaultProxy(master.url))
    await pair.#ask(replica, async hand => {
      await hand.replicaof('127.0.0.1', portOf(master))
      const isInStep = async () => (await hand.info('replication')).includes('master_link_status:up')
      await until(isInStep, { deadlineMs: waitMsMax, message: 'the replica to be in step' })
    })
    return pair
  }

  get url(): string {
    return this.#proxy.url
  }

  /** The replica takes over from a server that is killed; it may have been left behind by some jobs before that. */
  async failOver(name: string, seed: Seed): Promise<undefined> {
    this.#name = name
    const { master, replica } = this.#servers
    const behind = seed.pick([0, seed.integer(1, 20)])
    if (behind > 0) await this.#leaveBehind(behind)
    await this.#end()
    const received = await this.#ask(replica, async hand => {
      await hand.replicaof('NO', 'ONE')
      return await readArrivals(hand, eventsOf(name))
    })
    this.#received = received.length
    this.#proxy.retarget(replica.url)
    await master.members[0]?.restart()
    this.#before = await this.#ask(master, hand => readArrivals(hand, eventsOf(name)))
    const there = new Set(received.map(({ job }) => job))
    for (const { job } of this.#before) if (!there.has(job)) this.missing.add(job)
    return undefined
  }

  /** What both have received, one after the other, and what went with the first. */
  async seen({ effects, kept }: OutboxHistory): Promise<Pick<OutboxHistory, 'sent' | 'lostByRedis'>> {
    const all = await this.#ask(this.#servers.replica, hand => readArrivals(hand, eventsOf(this.#name)))
    const after = all.slice(this.#received)
    const again = new Set(after.map(({ job }) => job))
    const had = new Set(kept.filter(({ _id }) => effects.includes(_id)).map(({ job }) => job))
    const lost = [...this.missing].filter(job => !again.has(job) && !had.has(job))
    return { sent: [...this.#before, ...after], lostByRedis: new Set(lost) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  /** The replica receives nothing more, and the first takes so many jobs. */
  async #leaveBehind(jobs: number): Promise<void> {
    await this.#ask(this.#servers.replica, hand => hand.replicaof('NO', 'ONE'))
    await this.#ask(this.#servers.master, async hand => {
      const count = await hand.xlen(eventsOf(this.#name))
      const isBehind = async () => (await hand.xlen(eventsOf(this.#name))) >= count + jobs
      await until(isBehind, { deadlineMs: waitMsMax, message: 'jobs that the replica has not', everyMs: 1 })
    })
  }

  async #end(): Promise<void> {
    const [server] = this.#servers.master.members
    if (!server) throw new Error('This kills Redis itself and needs a program of its own: STRATA_REDIS=wheel')
    const { pid } = server
    server.kill('SIGKILL')
    await until(() => isGone(pid), { deadlineMs: waitMsMax, message: 'the Redis server to end', everyMs: 2 })
  }

  async #ask<T>({ url }: ServerHandle, question: (hand: Redis) => Promise<T>): Promise<T> {
    const hand = new Redis(url)
    try {
      return await question(hand)
    } finally {
      hand.disconnect()
    }
  }
}

const portOf = ({ url }: ServerHandle): number => Number(new URL(url).port)

export function isGone(pid: number): boolean {
  try {
    return !process.kill(pid, 0)
  } catch {
    return true
  }
}
