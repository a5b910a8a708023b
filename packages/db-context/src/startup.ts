import type { DeclaredProcesses } from './options.ts'
import type { Pools } from './pool.ts'
import { dbContextError } from './registry.ts'

/**
 * Opens every pool once and registers what this process may use of each server. All levels open at the start, with one
 * connection each: a pool that opened late could find the server full of the idle connections of shallower ones.
 */
export class Startup {
  readonly #pools: Pools
  readonly #processes: DeclaredProcesses | undefined
  #starting: Promise<void> | undefined
  #stopped = false
  readonly #leave: (() => Promise<void>)[] = []

  constructor(pools: Pools, processes: DeclaredProcesses | undefined) {
    this.#pools = pools
    this.#processes = processes
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
        const processes = this.#processes
        const leave = await datasource.admit?.({ connections, service: service.adapter, processes })
        if (leave) this.#leave.push(leave)
      }),
    )
    try {
      for (const each of admitted) if (each.status === 'rejected') throw each.reason
      await this.#pools.ready()
    } catch (error) {
      // A start that failed must not stay registered: the next one registers anew.
      await this.#leaveAll()
      throw error
    }
  }

  async #leaveAll(): Promise<void> {
    await Promise.allSettled(this.#leave.splice(0).map(leave => leave()))
  }
}
