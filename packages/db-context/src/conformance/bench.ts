import assert from 'node:assert/strict'
import type { Datasource } from '../datasource.ts'
import { createDbContext, type DbContext } from '../db-context.ts'

/** A datasource of pool size 1 on an empty store, with two statements on counters. */
export interface DatasourceHarness {
  readonly datasource: Datasource
  add(key: string): Promise<unknown>
  read(key: string): Promise<number>
  /** Frees what the harness made; the context has been stopped. */
  close(): Promise<void>
}

export interface DatasourceCase {
  readonly name: string
  readonly run: (make: () => Promise<DatasourceHarness>) => Promise<void>
}

export interface Bench extends DatasourceHarness {
  readonly db: DbContext
}

/** Turns bodies into cases that bring their own context over a fresh harness. */
export function casesOf(bodies: Readonly<Record<string, (bench: Bench) => Promise<void>>>): DatasourceCase[] {
  return Object.entries(bodies).map(([name, body]) => ({
    name,
    run: async make => {
      const harness = await make()
      const db = createDbContext({ datasources: [harness.datasource], lockWaitMs: 500, levels: { max: 2 } })
      try {
        await body({ ...harness, db })
      } finally {
        await db.stop({ deadlineMs: 5000 })
        await harness.close()
      }
    },
  }))
}

export async function failure(work: Promise<unknown> | undefined): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  return assert.fail('Expected a rejection')
}

export function level(db: DbContext, wanted: number) {
  const pool = db.pools().find(({ level }) => level === wanted)
  assert.ok(pool)
  return pool
}

export async function waitFor(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000
  while (!condition()) {
    assert.ok(performance.now() < end, 'Condition did not come true within 5,000 ms')
    await new Promise(resolve => setImmediate(resolve))
  }
}
