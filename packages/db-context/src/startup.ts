import type { CheckedOptions } from './options.ts'
import type { Pools } from './pool.ts'
import { dbContextError } from './registry.ts'

/**
 * Opens every pool once and registers what this process may use of each server. All levels open at the start, with one
 * connection each: a pool that opened late could find the server full of the idle connections of shallower ones.
 */
export class Startup {
  readonly #pools: Pools
  readonly #options: CheckedOptions
  #starting: Promise<void> | undefined
  #stopped = false
  /** A start that is tried anew says it no second time. */
  #isAssumed = false
  readonly #leave: (() => Promise<void>)[] = []

  constructor(pools: Pools, options: CheckedOptions) {
    this.#pools = pools
    this.#options = options
  }

  /** Resolves when every pool is usable. A failed start is tried anew by the next call. @throws STOPPED */
  start(): Promise<void> {
    if (this.#stopped) return Promise.reject(dbContextError('STOPPED', 'Context is stopped: make a new one'))
    this.#starting ??= this.#open().catch(error => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#starting?.catch(() => {})
    await this.#leaveAll()
    await this.#pools.close()
  }

  async #open(): Promise<void> {
    const admitted = await Promise.allSettled(
      this.#pools.stores().map(async ({ datasource, service, connections }) => {
        const { processes } = this.#options
        const leave = await datasource.admit?.({ connections, service: service.adapter, processes })
        if (leave) this.#leave.push(leave)
      }),
    )
    try {
      for (const each of admitted) if (each.status === 'rejected') throw each.reason
      await this.#pools.ready()
      await this.#checkLifetimes()
    } catch (error) {
      // A start that failed must not stay registered: the next one registers anew.
      await this.#leaveAll()
      throw error
    }
  }

  /** A transaction that its server ends first would end without a word, with its deadline still to come. @throws CONFIG */
  async #checkLifetimes(): Promise<void> {
    const { datasources, transactionMs, report } = this.#options
    await this.#pools.readLifetimes((cause, lifetimeMs) => {
      if (this.#isAssumed) return
      this.#isAssumed = true
      report(
        new Error(`Server does not tell how long a transaction may live, ${lifetimeMs} ms are assumed`, { cause }),
        'Reading the lifetime of transactions',
      )
    })
    for (const { name } of datasources) {
      this.#pools.checkLifetime(name, { option: 'transaction.deadlineMs', ms: transactionMs })
    }
  }

  async #leaveAll(): Promise<void> {
    await Promise.allSettled(this.#leave.splice(0).map(leave => leave()))
  }
}
