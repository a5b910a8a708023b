import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import type { Lane } from './lane.ts'
import { outside } from './outside.ts'
import type { Report } from './report.ts'

/** The BullMQ queues that this process sends to, all on one connection, and the registry that tells workers of lanes. */
export class LaneQueues {
  /** Set where the server denies INFO, by which BullMQ would look. */
  skipVersionCheck = false
  readonly #redis: Redis
  readonly #keys: Keys
  readonly #report: Report
  readonly #queues = new Map<string, Queue>()
  readonly #registered = new Map<string, Promise<void>>()

  constructor(redis: Redis, keys: Keys, report: Report) {
    this.#redis = redis
    this.#keys = keys
    this.#report = report
  }

  queue(lane: string): Queue {
    const known = this.#queues.get(lane)
    if (known) return known
    const { prefix } = this.#keys
    const options = { connection: this.#redis, prefix, skipVersionCheck: this.skipVersionCheck }
    const queue = outside(() => new Queue(lane, options))
    queue.on('error', error => this.#report(error, `Queue ${lane}`))
    this.#queues.set(lane, queue)
    return queue
  }

  /** Resolves when every worker can know of the lane. Pushes need none: workers serve them from their start. */
  register(lane: Lane): Promise<void> | undefined {
    if (lane.kind !== 'call') return undefined
    const known = this.#registered.get(lane.name)
    if (known !== undefined) return known
    const registering = this.#announce([lane.name]).catch((error: unknown) => {
      this.#registered.delete(lane.name)
      throw error
    })
    this.#registered.set(lane.name, registering)
    return registering
  }

  /** Says it all again, for a Redis that came back without its data. */
  async refresh(): Promise<void> {
    const names = [...this.#registered.keys()]
    if (names.length > 0) await this.#announce(names)
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#queues.values()].map(queue => queue.close()))
  }

  async #announce(names: readonly string[]): Promise<void> {
    const added = await this.#redis.sadd(this.#keys.lanes, ...names)
    if (added > 0) await this.#redis.publish(this.#keys.lanes, JSON.stringify(names))
  }
}
