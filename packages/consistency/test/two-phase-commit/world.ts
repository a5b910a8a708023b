import type { Scheduler } from 'fast-check'
import { createEngine } from '../../src/two-phase-commit/engine.ts'
import { transferOf } from '../../src/two-phase-commit/index.ts'
import type { ReadDocument } from '../../src/two-phase-commit/reading.ts'
import { readDocuments } from '../../src/two-phase-commit/reading.ts'
import type { TransactionRecord } from '../../src/two-phase-commit/record.ts'
import type { Engine } from '../../src/two-phase-commit/settings.ts'
import type { Protocol } from '../../src/two-phase-commit/table.ts'
import { Memory, MemoryStore, type Way } from './memory-store.ts'

export const accounts = { name: 'accounts', datasource: { key: 'memory' } as never, collection: 'accounts' }
export const transfer = transferOf({ accounts, field: 'balance' })

export const leaseMs = 1000
export const clockSkewMs = 200

/** Dead processes send nothing more and hear nothing more; what they have sent may still arrive. */
export interface Process {
  readonly engine: Engine
  isDead: boolean
}

/**
 * Several processes over one database, whose every statement arrives when the scheduler says so, and is answered when it says so.
 * Time goes on only where the scheduler lets it.
 */
export class World {
  readonly memory = new Memory(1_000_000)
  /** All that was ever seen that must not be. */
  readonly breaches = new Set<string>()
  readonly #scheduler: Scheduler
  readonly #protocol: Protocol
  readonly #ends = new Map<string, string>()
  readonly #outside: Engine
  readonly #kept = Promise.withResolvers<void>()

  constructor(scheduler: Scheduler, protocol: Protocol) {
    this.#scheduler = scheduler
    this.#protocol = protocol
    this.#outside = this.#engine(new MemoryStore(this.memory))
  }

  /** Lets statements arrive that the network has kept. */
  release(): void {
    this.#kept.resolve()
  }

  /** A process whose statements go through the scheduler; those of these numbers are kept by the network for long. */
  process(kept: readonly number[] = []): Process {
    const process: { isDead: boolean; engine?: Engine } = { isDead: false }
    let sent = 0
    const way: Way = async (what, run) => {
      if (process.isDead) await never
      sent += 1
      if (kept.includes(sent)) {
        const arriving = this.#kept.promise.then(() => this.#arrive(what, run))
        // Of every other one its sender hears soon that the connection is broken, though it is still on its way.
        if (sent % 2 === 1) await arriving
        throw new Error('The connection broke')
      }
      const value = await this.#arrive(what, run)
      await this.#scheduler.schedule(Promise.resolve(), `${what} is answered`)
      if (process.isDead) await never
      return value
    }
    process.engine = this.#engine(new MemoryStore(this.memory, way))
    return process as Process
  }

  async #arrive<T>(what: string, run: () => T): Promise<T> {
    await this.#scheduler.schedule(Promise.resolve(), `${what} arrives`)
    const value = run()
    await this.#look()
    return value
  }

  /** One whose statements all arrive at once. */
  get outside(): Engine {
    return this.#outside
  }

  #engine(store: MemoryStore): Engine {
    const pause = async (ms: number) => {
      await this.#scheduler.schedule(Promise.resolve(), 'pause')
      this.memory.nowMs += ms
    }
    return createEngine({
      store,
      definitions: [transfer],
      leaseMs,
      clockSkewMs,
      protocol: this.#protocol,
      elapsedMs: () => this.memory.nowMs,
      pause,
    })
  }

  get records(): readonly TransactionRecord[] {
    return this.memory.collection('records') as unknown as TransactionRecord[]
  }

  /** What is wrong at this moment, whatever is under way. */
  async #look(): Promise<void> {
    for (const { _id, balance } of this.memory.collection('accounts')) {
      if (Number(balance) < 0) this.breaches.add(`${_id} is negative`)
    }
    for (const { _id, state } of this.records) {
      if (state !== 'done' && state !== 'canceled') continue
      const before = this.#ends.get(_id) ?? state
      if (before !== state) this.breaches.add(`${_id} was ${before} and is ${state}`)
      this.#ends.set(_id, before)
    }
    if ((await this.visible()) !== total) this.breaches.add('the visible parts do not add up')
  }

  async visible(): Promise<number> {
    const documents = await readDocuments(this.#outside, accounts, ['A', 'B', 'C'])
    return documents.reduce((sum, { visible }: ReadDocument) => sum + Number(visible['balance']), 0)
  }

  /** What must not be once everything has ended. */
  judge(): void {
    const sums = new Map([
      ['A', 100],
      ['B', 10],
      ['C', 0],
    ])
    for (const { _id, state, input } of this.records) {
      if (state !== 'done' && state !== 'canceled') this.breaches.add(`${_id} is still ${state}`)
      if (state !== 'done') continue
      const { from, to, amount } = JSON.parse(input)
      sums.set(from, (sums.get(from) ?? 0) - amount)
      sums.set(to, (sums.get(to) ?? 0) + amount)
    }
    for (const { _id, balance, pendingTransactions } of this.memory.collection('accounts')) {
      const due = sums.get(String(_id))
      if (balance !== due) this.breaches.add(`${_id} has ${balance}, its transfers make ${due}`)
      if (Array.isArray(pendingTransactions) && pendingTransactions.length > 0)
        this.breaches.add(`${_id} has entries left`)
    }
  }
}

const total = 110
const never = new Promise<never>(() => {})
