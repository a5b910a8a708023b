import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { late } from './bound.ts'
import { refusals } from './metrics.ts'
import { MinuteLog } from './minute-log.ts'
import { outside } from './outside.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'
import type { Streams } from './streams.ts'

const blockMs = 5000

/** An answer this late means a connection that is open on this side only. */
const answerMsMax = blockMs + 2000

const readMax = 500

/** The first field of the entry by which a process makes its stream. */
export const greeting = 'hello'

/**
 * Reads one stream on a connection of its own, from the first entry on. It remembers where it was, so that a dropped
 * connection loses nothing that the stream still holds.
 */
export class ReplyReader {
  readonly #redis: Redis
  readonly #key: string
  readonly #deliver: (callId: string, reply: string) => void
  readonly #log: MinuteLog
  #lastId = '0-0'
  #stopping = false
  #catchingUp: Promise<void> | undefined
  #loop: Promise<void> | undefined
  #cutShort: (() => void) | undefined
  /** Sent and not answered yet. One at a time: a second one would wait behind the first, which ioredis sends again by itself. */
  #reading: Promise<Streams | null> | undefined

  constructor(
    redis: Redis,
    options: { key: string; deliver: (callId: string, reply: string) => void; report: Report },
  ) {
    this.#redis = redis
    this.#key = options.key
    this.#deliver = options.deliver
    this.#log = new MinuteLog(options.report)
  }

  /** Reads what has come but was not read yet on another connection, as after a pause of the whole process. */
  catchUp(redis: Redis): Promise<void> {
    this.#catchingUp ??= this.#catchUp(redis).finally(() => {
      this.#catchingUp = undefined
    })
    return this.#catchingUp
  }

  async #catchUp(redis: Redis): Promise<void> {
    for (let from: string | undefined = this.#lastId; from !== undefined; ) {
      const streams: Streams | null = await redis.xread('COUNT', readMax, 'STREAMS', this.#key, from)
      from = this.#deliverAll(streams ?? [])
    }
  }

  start(): void {
    this.#loop ??= outside(() => this.#run())
  }

  /** The entry read last: what is before it is not needed any more. */
  get position(): string {
    return this.#lastId
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#redis.disconnect()
    // A peer that is silent does not answer the end of its connection either.
    this.#cutShort?.()
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.#read()
      } catch (error) {
        if (this.#stopping) return
        this.#log.note('read', error, 'Reading replies')
        await sleep(50)
      }
    }
  }

  async #read(): Promise<void> {
    this.#reading ??= this.#redis.xread('COUNT', readMax, 'BLOCK', blockMs, 'STREAMS', this.#key, this.#lastId)
    const streams = await this.#answerTo(this.#reading).catch((error: unknown) => {
      this.#reading = undefined
      throw error
    })
    if (streams === late) {
      // The nodes of a cluster drop what they were asked.
      if (this.#redis.isCluster) this.#reading = undefined
      return this.#redis.disconnect(!this.#stopping)
    }
    this.#reading = undefined
    this.#lastId = this.#deliverAll(streams ?? []) ?? this.#lastId
  }

  /** The clock starts again with each new connection, on which a read that was not answered is sent again. */
  async #answerTo(reading: Promise<Streams | null>): Promise<Streams | null | typeof late> {
    const { promise: cut, resolve } = Promise.withResolvers<typeof late>()
    this.#cutShort = () => resolve(late)
    const timer = setTimeout(() => {
      if (this.#redis.status === 'ready' || this.#redis.status === 'connect') resolve(late)
      else timer.refresh()
    }, answerMsMax)
    const again = () => timer.refresh()
    this.#redis.on('connect', again).on('ready', again)
    try {
      return await Promise.race([reading, cut])
    } finally {
      clearTimeout(timer)
      this.#redis.off('connect', again).off('ready', again)
    }
  }

  /** @returns the id of the last entry */
  #deliverAll(streams: Streams): string | undefined {
    let last: string | undefined
    for (const [, entries] of streams) {
      for (const [id, fields] of entries) {
        last = id
        const [name, callId, , reply] = fields
        if (name === 'c' && callId !== undefined && reply !== undefined) this.#deliver(callId, reply)
        else if (name !== greeting) this.#refuse(id)
      }
    }
    return last
  }

  #refuse(entry: string): void {
    const code = 'REPLY_INVALID'
    refusals.add(1, { code })
    this.#log.note(code, queueError(code, `Entry ${entry} of the replies is not a reply`), 'Reading replies')
  }
}
