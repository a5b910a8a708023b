import { dbContextError, type Propagator } from '@strata/db-context'
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'

/** A process that does not say so for this long counts as gone. */
export const leaseMs = 15_000

/** Connections left to people and tools. */
const reserve = 16

/** Entries of processes that are gone are removed after this. */
const forgetMs = 60_000

/** Adds this process if it fits: one script, so that of two that start at once only the second is refused. */
const announceScript = `
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local sum = 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local ok, found = pcall(cjson.decode, entries[i + 1])
  if entries[i] == ARGV[1] or not ok or type(found) ~= 'table' or type(found.untilMs) ~= 'number' then
  elseif found.untilMs <= ms then
    if found.untilMs < ms - ${forgetMs} then redis.call('HDEL', KEYS[1], entries[i]) end
  else
    if ARGV[7] == '1' and found.setup and found.setup ~= ARGV[6] then return {-1, 0, found.setup} end
    if type(found.connections) == 'number' then sum = sum + found.connections end
  end
end
local limit = tonumber(ARGV[3])
if limit > 0 and sum + tonumber(ARGV[2]) > limit then return {0, sum} end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({
  untilMs = ms + tonumber(ARGV[4]), connections = tonumber(ARGV[2]), setup = ARGV[6], lanes = cjson.decode(ARGV[5]) }))
redis.call('PEXPIRE', KEYS[1], 600000)
return {1, sum}
`

/** Slots of each lane that a process serves. */
export type LaneSlots = Readonly<Record<string, number>>

export interface PresenceOptions {
  readonly keys: Keys
  readonly id: string
  readonly propagator: Pick<Propagator, 'levelsMax' | 'isolated'>
  readonly connections: number
  readonly lanes: () => LaneSlots
}

/** Tells the other processes what this one uses, and refuses to start what the server cannot hold. */
export class Presence {
  readonly #redis: Redis
  readonly #keys: Keys
  readonly #id: string
  readonly #connections: number
  readonly #lanes: () => LaneSlots
  /** What all processes have to agree on. */
  readonly #setup: string

  constructor(redis: Redis, options: PresenceOptions) {
    this.#redis = redis
    this.#keys = options.keys
    this.#id = options.id
    this.#connections = options.connections
    this.#lanes = options.lanes
    const { levelsMax, isolated } = options.propagator
    this.#setup = `levels.max ${levelsMax}, isolation ${isolated ? 'levels' : 'none'}`
  }

  /** @throws CONNECTION_BUDGET, CONFIG where this process and a live one do not agree on levels or isolation */
  async enter(report: Report): Promise<void> {
    const clients = await maxClients(this.#redis, report)
    const limit = clients === undefined ? 0 : Math.max(1, clients - reserve)
    const [fits, others, setup] = await this.#announce(limit, true)
    if (fits === 1) return
    if (fits === -1) throw disagreement(this.#setup, setup ?? 'unknown')
    throw queueError(
      'CONNECTION_BUDGET',
      `This process may need ${this.#connections} Redis connections, beside ${others} of others, and the server's ` +
        `maxclients is ${clients} (${reserve} kept free): raise it, or start fewer processes, queues, levels or slots`,
      { details: { connections: this.#connections, others, maxclients: clients, reserve } },
    )
  }

  async renew(): Promise<void> {
    await this.#announce(0, false)
  }

  async leave(): Promise<void> {
    await this.#redis.hdel(this.#keys.processes, this.#id)
  }

  async #announce(limit: number, isNew: boolean): Promise<[number, number, string?]> {
    const lanes = JSON.stringify(this.#lanes())
    const args = [this.#id, this.#connections, limit, leaseMs, lanes, this.#setup, isNew ? 1 : 0]
    return (await this.#redis.eval(announceScript, 1, this.#keys.processes, ...args)) as [number, number, string?]
  }
}

/** A process with other levels serves other lanes, and one without isolation can hold up all others. */
function disagreement(own: string, others: string) {
  const message = `Processes disagree: this one has ${own}, a live one of the same prefix has ${others}. Give all the same, or another prefix`
  return dbContextError('CONFIG', message, { details: { got: own, expected: others } })
}

/** False when the process has left, or was not heard of for the length of its lease. */
export async function isProcessAlive(
  redis: Redis,
  { keys, id, now }: { keys: Keys; id: string; now: number },
): Promise<boolean> {
  const text = await redis.hget(keys.processes, id)
  return text !== null && readEntry(text, now) !== undefined
}

/** The slots of every lane over all live processes. */
export async function readLaneSlots(redis: Redis, options: { keys: Keys; now: number }): Promise<Map<string, number>> {
  const sum = new Map<string, number>()
  for (const text of await redis.hvals(options.keys.processes)) {
    for (const [lane, slots] of Object.entries(readEntry(text, options.now) ?? {})) {
      sum.set(lane, (sum.get(lane) ?? 0) + slots)
    }
  }
  return sum
}

/** Nothing for a process that is gone, or an entry that is not ours. */
function readEntry(text: string, now: number): LaneSlots | undefined {
  try {
    const { untilMs, lanes } = JSON.parse(text) as { untilMs?: unknown; lanes?: unknown }
    if (typeof untilMs !== 'number' || untilMs < now || typeof lanes !== 'object') return undefined
    return Object.fromEntries(Object.entries(lanes ?? {}).filter(([, slots]) => typeof slots === 'number'))
  } catch {
    return undefined
  }
}

/** The server's limit; undefined where the service does not let it be read. */
async function maxClients(redis: Redis, report: Report): Promise<number | undefined> {
  try {
    const [, value] = (await redis.config('GET', 'maxclients')) as [string?, string?]
    return value === undefined ? undefined : Number(value)
  } catch (error) {
    report(error, 'Redis does not tell maxclients, the connection budget is not checked')
    return undefined
  }
}
