import type { Writable } from 'node:stream'
import { Redis, type RedisOptions } from 'ioredis'
import { shareWrites } from './shared-write.ts'

/** As long as a connection in use is given to answer. What comes before is bounded by ioredis's `connectTimeout`, this by nothing. */
const greetingMsMax = 5000

/**
 * A connection to one server, and the copies that BullMQ makes of it for its fetchers to wait on. A server that falls silent
 * between the connect and its first answer is left for a new try: a copy would wait for that answer for ever, and its lane with it.
 */
export class Connection extends Redis {
  #greeting: NodeJS.Timeout | undefined

  constructor(url: string | undefined, options: RedisOptions) {
    // ioredis skips a URL that is not given; its types do not say so.
    super(url as string, options)
    this.on('connect', () => {
      // The socket is not in its types either, and is a new one after each reconnect.
      shareWrites((this as unknown as { readonly stream: Writable }).stream)
      clearTimeout(this.#greeting)
      this.#greeting = setTimeout(() => this.disconnect(true), greetingMsMax).unref()
    })
    for (const event of ['ready', 'close', 'end']) this.on(event, () => clearTimeout(this.#greeting))
  }

  override duplicate(override?: Partial<RedisOptions>): Connection {
    return new Connection(undefined, { ...this.options, ...override })
  }
}
