import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDbContext, type DbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { afterEach, describe, inject } from 'vitest'
import { MongoStore } from '../../src/two-phase-commit/mongo-store.ts'
import { conforms } from './conformance/conforms.ts'

describe('the store on MongoDB', () => {
  const contexts: DbContext[] = []
  afterEach(async () => {
    for (const db of contexts.splice(0)) await db.stop({ deadlineMs: 2000 })
  })

  conforms(async () => {
    const database = `two-phase-${randomUUID().slice(0, 8)}`
    const datasource = mongoDatasource({ name: 'main', url: inject('mongoUrl'), database, pool: { serviceMax: 4 } })
    contexts.push(createDbContext({ datasources: [datasource] }))
    const store = new MongoStore(datasource, 'strata.transactions')
    await store.ensureIndexes(60_000)
    // The server's clock is the one that has to go on.
    return { store, datasource, later: ms => sleep(ms) }
  })
})
