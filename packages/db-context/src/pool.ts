import type { Datasource, DatasourcePool } from './datasource.ts'
import { Permits } from './permits.ts'
import { poolRank, type Rank } from './rank.ts'
import { dbContextError } from './registry.ts'

/** The connections of one level of one store, and the permits to use them. */
export interface LevelPool {
  readonly adapter: DatasourcePool
  readonly permits: Permits
  readonly rank: Rank
  readonly level: number | 'service'
  /** The datasources that share it, in declared order. */
  readonly datasources: readonly string[]
  readonly timeoutMs: number
}

export const describePool = (pool: LevelPool) => `${pool.datasources.join('+')} at level ${pool.level}`

/** What `/levels` shows of a pool. */
export interface PoolState {
  readonly datasource: string
  readonly level: number | 'service'
  readonly max: number
  readonly inUse: number
  readonly waiting: number
}

/**
 * Every pool of a context: one a level and store, plus one for the service connections of each store. Datasources of one
 * store share them: two pools over one store would let a document link what the order keeps apart.
 */
export class Pools {
  readonly isolated: boolean
  readonly #stores = new Map<string, StorePools>()
  readonly #byDatasource = new Map<string, StorePools>()

  constructor(datasources: readonly Datasource[], options: { levelsMax: number; isolated: boolean }) {
    this.isolated = options.isolated
    datasources.forEach((datasource, order) => {
      const store = this.#stores.get(datasource.key) ?? openStore(datasource, { ...options, order })
      store.names.push(datasource.name)
      this.#stores.set(datasource.key, store)
      this.#byDatasource.set(datasource.name, store)
    })
  }

  at(datasource: string, level: number): LevelPool {
    const levels = this.#of(datasource).levels
    const pool = levels[this.isolated ? level : 0]
    if (!pool) throw new RangeError(`No pool at level ${level} of ${datasource}`)
    return pool
  }

  /** Asks each server how long it lets a transaction live; `assumed` hears of each that does not tell. */
  async readLifetimes(assumed: (cause: unknown, lifetimeMs: number) => void): Promise<void> {
    const reading = [...this.#stores.values()].map(async store => {
      const lifetime = await store.service.adapter.transactionLifetime?.()
      if (!lifetime) return
      store.lifetimeMs = lifetime.ms
      if (lifetime.assumed !== undefined) assumed(lifetime.assumed, lifetime.ms)
    })
    await Promise.all(reading)
  }

  /** Refuses a deadline that the server would not wait for. @throws CONFIG */
  checkLifetime(datasource: string, { option, ms }: { readonly option: string; readonly ms: number }): void {
    const { lifetimeMs } = this.#of(datasource)
    if (ms < lifetimeMs) return
    throw dbContextError(
      'CONFIG',
      `Option ${option} is ${ms} ms, and the server of ${datasource} itself ends a transaction after ${lifetimeMs} ms: give less, ` +
        'or raise its transactionLifetimeLimitSeconds',
      { details: { option, got: ms, lifetimeMs, datasource } },
    )
  }

  service(datasource: string): LevelPool {
    return this.#of(datasource).service
  }

  /** The first datasource of each store and its service pool. */
  stores(): { readonly datasource: Datasource; readonly service: LevelPool; readonly connections: number }[] {
    return [...this.#stores.values()].map(store => ({
      datasource: store.datasource,
      service: store.service,
      connections: all(store).reduce((sum, pool) => sum + pool.permits.max, 0),
    }))
  }

  all(): LevelPool[] {
    return [...this.#stores.values()].flatMap(all)
  }

  state(): PoolState[] {
    return this.all().map(({ datasources, level, permits, adapter }) => {
      const { inUse, waiting } = this.isolated ? permits : adapter.usage()
      return { datasource: datasources.join('+'), level, max: permits.max, inUse, waiting }
    })
  }

  async ready(): Promise<void> {
    await Promise.all(this.all().map(pool => pool.adapter.ready()))
  }

  async close(): Promise<void> {
    await Promise.all(this.all().map(pool => pool.adapter.close()))
  }

  #of(datasource: string): StorePools {
    const store = this.#byDatasource.get(datasource)
    if (!store) throw new RangeError(`No datasource ${datasource}`)
    return store
  }
}

interface StorePools {
  readonly datasource: Datasource
  readonly names: string[]
  readonly levels: readonly LevelPool[]
  readonly service: LevelPool
  /** How long its server lets a transaction live; `Infinity` until it is known. */
  lifetimeMs: number
}

const all = (store: StorePools): LevelPool[] => [...new Set([...store.levels, store.service])]

function openStore(
  datasource: Datasource,
  options: { levelsMax: number; isolated: boolean; order: number },
): StorePools {
  const { max, timeoutMs, serviceMax } = datasource.pool
  const names: string[] = []
  const lifetimeMs = Number.POSITIVE_INFINITY
  const open = (level: number | 'service', size: number): LevelPool => ({
    adapter: datasource.openPool({ level, max: size, timeoutMs, unpermitted: !options.isolated }),
    permits: new Permits(size),
    rank: level === 'service' ? Number.POSITIVE_INFINITY : poolRank(level, options.order),
    level,
    datasources: names,
    timeoutMs,
  })
  const first = open(0, max)
  if (!options.isolated) return { datasource, names, levels: [first], service: first, lifetimeMs }
  const deeper = Array.from({ length: options.levelsMax }, (_, index) => open(index + 1, max))
  return { datasource, names, levels: [first, ...deeper], service: open('service', serviceMax), lifetimeMs }
}
