import type { Pools } from './pool.ts'

/**
 * Opens every pool once and registers what this process may use of each server. All levels open at the start, with one
 * connection each: a pool that opened late could find the server full of the idle connections of shallower ones.
 */
export class Startup {
  readonly #pools: Pools
  #starting: Promise<void> | undefined
  #leave: (() => Promise<void>)[] = []

  constructor(pools: Pools) {
    this.#pools = pools
  }

  /** Resolves when every pool is usable. A failed start is tried anew by the next call. */
  start(): Promise<void> {
    this.#starting ??= this.#open().catch(error => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => {})
    await Promise.allSettled(this.#leave.map(leave => leave()))
    await this.#pools.close()
  }

  async #open(): Promise<void> {
    const stores = this.#pools.stores()
    const admitted = await Promise.all(
      stores.map(({ datasource, service, connections }) =>
        datasource.admit?.({ connections, service: service.adapter }),
      ),
    )
    this.#leave = admitted.filter(leave => leave !== undefined)
    await this.#pools.ready()
  }
}
