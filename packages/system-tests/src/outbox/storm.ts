import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Seed, type ServerHandle, startRedis, until } from '@strata/testkit'
import type { OutboxHistory, Told } from './history.ts'
import { Member } from './member.ts'
import { drawPlans, type OutboxPlan } from './plan.ts'
import type { Place } from './process/messages.ts'
import { isGone } from './redis-pair.ts'
import { Station } from './station.ts'

export interface StormOptions {
  readonly seed: Seed
  readonly mongo: string
  readonly transactions: number
  /** From one strike to the next, in milliseconds. */
  readonly everyMs: number
}

export interface StormEnd {
  readonly history: OutboxHistory
  readonly strikes: number
  readonly elapsedMs: number
}

const keys = 50
const callers = 4
const committersThatPublish = 2
const relays = 2
const commitMsMax = 1_200_000

/** The outbox's own: what is sent in one go, and so what one interruption may leave sent and not noted. */
const batchMax = 500

/** Several processes commit and publish, one only commits, two relay; every so often a relay and Redis are killed. */
export async function playStorm({ seed, mongo, transactions, everyMs }: StormOptions): Promise<StormEnd> {
  // With `everysec` a kill loses what Redis has answered: that no sender can know.
  await using redis = await startRedis({ private: true, redisArgs: ['--appendfsync', 'always'], report: () => {} })
  const name = `outbox-${randomUUID().slice(0, 8)}`
  const place: Place = { mongo, redis: redis.url, name, publishes: true, wired: true }
  await using station = await Station.open(place, keys)
  await using storm = await Storm.open(place, { redis, seed, everyMs })
  const begun = performance.now()
  await storm.run(drawPlans(seed, { transactions, keys }))
  await station.settle()
  const elapsedMs = performance.now() - begun
  const publishers = committersThatPublish + relays
  const history = await station.history(storm.told, storm.strikes * (1 + publishers) * batchMax)
  return { history, strikes: storm.strikes, elapsedMs }
}

interface StormParts {
  readonly redis: ServerHandle
  readonly seed: Seed
  readonly everyMs: number
}

class Storm implements AsyncDisposable {
  readonly #place: Place
  readonly #parts: StormParts
  readonly #stack = new AsyncDisposableStack()
  readonly #committers: Member[] = []
  readonly #relays: Member[] = []
  strikes = 0

  private constructor(place: Place, parts: StormParts) {
    this.#place = place
    this.#parts = parts
  }

  static async open(place: Place, parts: StormParts): Promise<Storm> {
    const storm = new Storm(place, parts)
    for (let index = 0; index <= committersThatPublish; index += 1) {
      const publishes = index < committersThatPublish
      storm.#committers.push(storm.#stack.use(await Member.open({ ...place, publishes })))
    }
    for (let index = 0; index < relays; index += 1) await storm.#addRelay()
    return storm
  }

  get told(): readonly Told[] {
    return this.#committers.flatMap(({ told }) => told)
  }

  async run(plans: readonly OutboxPlan[]): Promise<void> {
    const over = new AbortController()
    const committing = this.#committers.map(async (committer, index) => {
      const mine = plans.filter((_, number) => number % this.#committers.length === index)
      committer.begin(mine, callers)
      await committer.committed(commitMsMax)
    })
    const committed = Promise.all(committing).finally(() => over.abort())
    await Promise.all([committed, this.#strikeUntil(over.signal)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async #addRelay(): Promise<void> {
    const relay = this.#stack.use(await Member.open({ ...this.#place, publishes: true }))
    this.#relays.push(relay)
    relay.relay()
  }

  async #strikeUntil(over: AbortSignal): Promise<void> {
    const { everyMs } = this.#parts
    for (let leftMs = everyMs; ; ) {
      await sleep(leftMs, undefined, { signal: over }).catch(() => {})
      if (over.aborted) return
      const struck = performance.now()
      await this.#strike()
      leftMs = Math.max(everyMs - (performance.now() - struck), 0)
    }
  }

  /** The relay that publishes, then Redis: at most a moment apart, either way. */
  async #strike(): Promise<void> {
    const { seed } = this.#parts
    this.strikes += 1
    await Promise.all([this.#killRelay(seed.integer(0, 100)), this.#restartRedis(seed.integer(0, 100))])
  }

  async #killRelay(afterMs: number): Promise<void> {
    await sleep(afterMs)
    const [holder] = this.#relays.sort((one, other) => other.publishingAt - one.publishingAt)
    holder?.kill()
    await holder?.exited
    this.#relays.shift()
    await this.#addRelay()
  }

  async #restartRedis(afterMs: number): Promise<void> {
    const { redis, seed } = this.#parts
    const [server] = redis.members
    if (!server) throw new Error('This kills Redis itself and needs a program of its own: STRATA_REDIS=wheel')
    const { pid } = server
    await sleep(afterMs)
    server.kill('SIGKILL')
    await until(() => isGone(pid), { deadlineMs: 10_000, message: 'the Redis server to end' })
    await sleep(seed.integer(0, 300))
    await server.restart()
  }
}
