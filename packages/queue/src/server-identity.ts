import type { Redis } from 'ioredis'
import { slotKeyOf } from './redis.ts'

/** In a script with a key, since of a cluster the node that has our keys is asked. */
const infoScript = `
local info = redis.pcall('INFO', 'server')
return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
`

/**
 * Tells which server answers, as one start of one program. A server that took over, or came back with what it had saved, may have lost
 * the last writes: that a handler began, say. Where INFO is denied each new connection counts as another server.
 */
export class ServerIdentity {
  readonly #redis: Redis
  #connections = 0
  #known = ''

  constructor(redis: Redis) {
    this.#redis = redis
    redis.on('ready', () => {
      this.#connections += 1
    })
  }

  /** As far as it is known: never newer than the server that what is sent now goes to. */
  get known(): string {
    return this.#known
  }

  async read(): Promise<string> {
    const runId = String(await this.#redis.eval(infoScript, 1, slotKeyOf(this.#redis)))
    this.#known = runId === '' ? `connection ${this.#connections}` : runId
    return this.#known
  }
}
