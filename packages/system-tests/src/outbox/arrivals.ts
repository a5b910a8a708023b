import { Redis } from 'ioredis'
import type { Sent } from './history.ts'

type Streams = [name: string, entries: [id: string, fields: string[]][]][] | null

const pauseMs = 50

/** Reads the queue's own events from the first on: what has come to it, and in which order. */
export class Arrivals implements AsyncDisposable {
  readonly #redis: Redis
  readonly #key: string
  readonly sent: Sent[] = []
  #last = '0-0'
  #isOver = false
  readonly #reading: Promise<void>

  constructor(url: string, key: string) {
    this.#redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => pauseMs })
    this.#redis.on('error', () => {})
    this.#key = key
    this.#reading = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#reading
    this.#redis.disconnect()
  }

  /** Often enough that none is trimmed away before it has been read: the queue keeps some 10,000. */
  async #run(): Promise<void> {
    while (!this.#isOver) {
      const isMore = await this.#read().catch(() => false)
      if (!isMore) await new Promise(resolve => void setTimeout(resolve, pauseMs))
    }
  }

  async #read(): Promise<boolean> {
    const streams: Streams = await this.#redis.xread('COUNT', 2000, 'STREAMS', this.#key, this.#last)
    const entries = streams?.[0]?.[1] ?? []
    for (const [id, fields] of entries) {
      this.#last = id
      this.sent.push(...sentBy(fields))
    }
    return entries.length > 0
  }
}

/** All that a server says that has come to a queue. */
export async function readArrivals(redis: Redis, key: string): Promise<Sent[]> {
  return (await redis.xrange(key, '-', '+')).flatMap(([, fields]) => sentBy(fields))
}

function sentBy(fields: readonly string[]): Sent[] {
  const { event, jobId } = Object.fromEntries(pairs(fields))
  return jobId !== undefined && (event === 'added' || event === 'duplicated') ? [{ event, job: jobId }] : []
}

function pairs(fields: readonly string[]): [string, string][] {
  return fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1] ?? ''] as [string, string]] : []))
}
