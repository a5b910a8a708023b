import { type DeclaredProcesses, dbContextError, type Propagator } from '@strata/db-context'
import type { Redis } from 'ioredis'
import { type Announced, announceScript, forgetMs } from './announce.ts'
import type { Keys } from './keys.ts'
import { refusals } from './metrics.ts'
import { MinuteLog } from './minute-log.ts'
import { addressOf } from './redis.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'
import { readMaxClients } from './server-check.ts'

/** A process that does not say so for this long counts as gone. */
export const leaseMs = 15_000

/** Connections left to people and tools. */
const reserve = 16

/** Slots of each lane that a process serves. */
export type LaneSlots = Readonly<Record<string, number>>

export interface PresenceOptions {
  readonly keys: Keys
  readonly id: string
  readonly role: 'queues' | 'worker'
  readonly propagator: Pick<Propagator, 'levelsMax' | 'isolated' | 'processes'>
  readonly connections: number
  readonly lanes: () => LaneSlots
}

/** Tells the other processes what this one uses, and refuses to start what the server cannot hold. */
export class Presence {
  readonly #redis: Redis
  readonly #keys: Keys
  readonly #id: string
  readonly #connections: number
  /** A process may send and serve: those are two kinds, of one entry a process each. */
  readonly #declared: DeclaredProcesses
  readonly #lanes: () => LaneSlots
  /** What all processes have to agree on. */
  readonly #setup: string
  #log: MinuteLog | undefined

  constructor(redis: Redis, options: PresenceOptions) {
    this.#redis = redis
    this.#keys = options.keys
    this.#id = options.id
    this.#connections = options.connections
    this.#lanes = options.lanes
    const { levelsMax, isolated, processes } = options.propagator
    this.#declared = processes
      ? { ...processes, kind: `${processes.kind}/${options.role}` }
      : { kind: this.#id, max: 1 }
    this.#setup = `levels.max ${levelsMax}, isolation ${isolated ? 'levels' : 'none'}`
  }

  /** @throws CONNECTION_BUDGET, CONFIG where this process and a live one do not agree on levels or isolation */
  async enter(report: Report): Promise<void> {
    this.#log = new MinuteLog(report)
    const clients = await readMaxClients(this.#redis, addressOf(this.#redis), report)
    const limit = clients === undefined ? 0 : Math.max(1, clients - reserve)
    const [fits, own, others, , setup] = await this.#announce(limit, true)
    if (fits === 1) return
    if (fits === -1) throw disagreement(this.#setup, setup ?? 'unknown')
    throw this.#overBudget({ own, others, clients })
  }

  async renew(): Promise<void> {
    await this.#announce(0, false)
  }

  async leave(): Promise<void> {
    await this.#redis.hdel(this.#keys.processes, this.#id)
  }

  async #announce(limit: number, isNew: boolean): Promise<Announced> {
    const lanes = JSON.stringify(this.#lanes())
    const { kind, max } = this.#declared
    const args = [this.#id, this.#connections, limit, leaseMs, lanes, this.#setup, isNew ? 1 : 0, kind, max]
    const announced = (await this.#redis.eval(announceScript, 1, this.#keys.processes, ...args)) as Announced
    this.#noteDropped(announced[3])
    return announced
  }

  #noteDropped(count: number): void {
    if (count === 0) return
    const code = 'MESSAGE_INVALID'
    refusals.add(count, { code })
    const message = `Key ${this.#keys.processes} had ${count} entries that no process can have written: they were removed`
    this.#log?.note(code, queueError(code, message, { details: { count } }), 'Announcing this process')
  }

  #overBudget({ own, others, clients }: { own: number; others: number; clients: number | undefined }) {
    const { kind, max } = this.#declared
    const isDeclared = kind !== this.#id
    const needs = isDeclared
      ? `${max} processes of kind ${kind} are declared, this one may need ${this.#connections} Redis connections, so they count ${own}`
      : `This process may need ${this.#connections} Redis connections`
    const details = { connections: this.#connections, reserved: own, others, maxclients: clients, reserve }
    return queueError(
      'CONNECTION_BUDGET',
      `${needs}, beside ${others} of others, and the server's maxclients is ${clients} (${reserve} kept free): raise it, ` +
        'or start fewer processes, queues, levels or slots',
      { details: { ...details, ...(isDeclared ? { kind, processesMax: max } : {}) } },
    )
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
export function readEntry(text: string, now: number): LaneSlots | undefined {
  try {
    const { untilMs, lanes } = JSON.parse(text) as { untilMs?: unknown; lanes?: unknown }
    if (typeof untilMs !== 'number' || untilMs < now || untilMs > now + forgetMs) return undefined
    if (typeof lanes !== 'object' || Array.isArray(lanes)) return undefined
    return Object.fromEntries(
      Object.entries(lanes ?? {}).filter(([, slots]) => Number.isSafeInteger(slots) && slots > 0),
    )
  } catch {
    return undefined
  }
}
