import type { Redis } from 'ioredis'
import type { RedisClock } from './clock.ts'
import type { Keys } from './keys.ts'
import { refusals } from './metrics.ts'
import { MinuteLog } from './minute-log.ts'
import { outside } from './outside.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'
import type { Streams } from './streams.ts'

const readMs = 400
const readMax = 1000
const idLengthMax = 512

/** A call that was given up. */
export interface GivenUp {
  readonly callId: string
  /** Its job, which another call may have sent; absent from an older version. */
  readonly job?: { readonly lane: string; readonly id: string }
  /** On Redis's clock, in milliseconds. */
  readonly at: number
}

/**
 * Tells of calls whose callers gave them up while their jobs run. A stream that is read on, and not a message, which a dropped
 * connection would lose; one read serves all jobs of the process, and none is made while nothing runs.
 */
export class GivenUpCalls {
  readonly #redis: Redis
  readonly #clock: RedisClock
  readonly #key: string
  readonly #isNeeded: () => boolean
  readonly #found: (givenUp: GivenUp) => void
  readonly #report: Report
  readonly #log: MinuteLog
  #lastId: string | undefined
  #reading = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: {
    redis: Redis
    clock: RedisClock
    keys: Keys
    isNeeded: () => boolean
    found: (givenUp: GivenUp) => void
    report: Report
  }) {
    this.#redis = options.redis
    this.#clock = options.clock
    this.#key = options.keys.cancelled
    this.#isNeeded = options.isNeeded
    this.#found = options.found
    this.#report = options.report
    this.#log = new MinuteLog(options.report)
  }

  start(): void {
    this.#timer = outside(() => setInterval(() => this.#look(), readMs).unref())
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    if (this.#reading || this.#redis.status !== 'ready') return
    if (!this.#isNeeded()) {
      this.#lastId = undefined
      return
    }
    this.#reading = true
    this.#read()
      .catch(error => this.#report(error, 'Reading the calls that were given up'))
      .finally(() => {
        this.#reading = false
      })
  }

  /** Entries are numbered by Redis's clock: what runs now was not running before the last look. */
  async #read(): Promise<void> {
    let from = this.#lastId ?? `${Math.max(0, Math.floor(this.#clock.now() - 5 * readMs))}-0`
    for (;;) {
      const streams: Streams | null = await this.#redis.xread('COUNT', readMax, 'STREAMS', this.#key, from)
      const entries = streams?.[0]?.[1] ?? []
      for (const [id, fields] of entries) {
        from = id
        const givenUp = readGivenUp(id, fields)
        if (givenUp === undefined) this.#refuse(id)
        else this.#found(givenUp)
      }
      this.#lastId = from
      if (entries.length < readMax) return
    }
  }

  #refuse(entry: string): void {
    const code = 'MESSAGE_INVALID'
    refusals.add(1, { code })
    const message = `Entry ${entry} of ${this.#key} names no call that was given up`
    this.#log.note(code, queueError(code, message, { details: { entry } }), 'Reading the calls that were given up')
  }
}

/** The call that was given up; undefined for an entry that is not ours. */
export function readGivenUp(entry: string, fields: readonly string[]): GivenUp | undefined {
  const [name, callId, laneName, lane, jobName, id] = fields
  if (name !== 'c' || callId === undefined || fields.some(field => field.length > idLengthMax)) return undefined
  const at = Number.parseInt(entry, 10)
  if (laneName !== 'l' || lane === undefined || jobName !== 'j' || id === undefined) return { callId, at }
  return { callId, job: { lane, id }, at }
}
