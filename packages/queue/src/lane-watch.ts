import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { type Lane, parseCallLane } from './lane.ts'
import { outside } from './outside.ts'
import type { Report } from './report.ts'

const readMs = 1000

/**
 * Tells of every call lane that was ever used. A message says so at once, but messages get lost: the set is read at the start,
 * after each reconnect and every second, so that a lane is missed for a second at most.
 */
export class LaneWatch {
  readonly #redis: Redis
  readonly #subscriber: Redis
  readonly #keys: Keys
  readonly #found: (lane: Lane) => void
  readonly #report: Report
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: { redis: Redis; subscriber: Redis; keys: Keys; found: (lane: Lane) => void; report: Report }) {
    this.#redis = options.redis
    this.#subscriber = options.subscriber
    this.#keys = options.keys
    this.#found = options.found
    this.#report = options.report
  }

  async start(): Promise<void> {
    await outside(async () => {
      this.#subscriber.on('message', (_channel, message) => this.#tell(readNames(message)))
      this.#subscriber.on('ready', () => this.#look())
      await this.#subscriber.subscribe(this.#keys.lanes)
      await this.#read()
      // Its start is bounded by whoever started it, and may have been given up.
      if (this.#isStopped) return
      this.#timer = setInterval(() => this.#look(), readMs)
      this.#timer.unref()
    })
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#subscriber.removeAllListeners('message')
  }

  #look(): void {
    this.#read().catch(error => this.#report(error, 'Reading the lanes'))
  }

  async #read(): Promise<void> {
    this.#tell(await this.#redis.smembers(this.#keys.lanes))
  }

  #tell(names: readonly string[]): void {
    for (const name of names) {
      const lane = parseCallLane(name)
      if (lane) this.#found(lane)
    }
  }
}

/** Names may hold spaces, between which an older version has them. The set is read a second later, whatever a stranger sent. */
function readNames(message: string): readonly string[] {
  try {
    const names: unknown = JSON.parse(message)
    return Array.isArray(names) ? names.filter(name => typeof name === 'string') : []
  } catch {
    return message.split(' ')
  }
}
