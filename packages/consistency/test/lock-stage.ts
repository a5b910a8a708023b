import { createDbContext, type DbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { afterAll, beforeAll, inject } from 'vitest'
import { Leases } from '../src/lock/leases.ts'
import { MemoryLockStore } from '../src/lock/memory-store.ts'

/** Units of work over a real store, for leases over another one whose answers a test can hold up. */
export function useUnits(database: string) {
  const datasource = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database })
  const db = createDbContext({ datasources: [datasource] })
  beforeAll(() => db.start())
  afterAll(() => db.stop())
  return { db, datasource, opened: () => leasesIn(db) }
}

function leasesIn(db: DbContext) {
  const store = new MemoryLockStore()
  const reports: string[] = []
  const report = (_: unknown, what: string) => void reports.push(what)
  const bounds = { ttlMs: 10_000, holdMsMax: 600_000, waitMs: 5000 }
  const leases = new Leases({ db, store, scope: 'memory', owner: 'one', bounds, report })
  const isFree = async (key: string) => (await store.read(key))?.holder === undefined
  return { store, leases, reports, isFree }
}

/** Holds up each answer of one verb of a store until the returned function is called. */
export function holdUp(store: MemoryLockStore, verb: 'takeFree' | 'attempt' | 'release'): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  const answer = store[verb].bind(store) as (...args: unknown[]) => Promise<never>
  store[verb] = async (...args: unknown[]) => {
    const answered = await answer(...args)
    await promise
    return answered
  }
  return resolve
}
