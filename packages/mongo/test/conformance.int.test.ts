import { randomUUID } from 'node:crypto'
import { type DatasourceHarness, datasourceConformance } from '@strata/db-context/conformance'
import { MongoClient } from 'mongodb'
import { describe, inject, it } from 'vitest'
import { mongoDatasource } from '../src/index.ts'

interface Counter {
  _id: string
  n: number
}

async function make(url: string): Promise<DatasourceHarness> {
  const database = `mongo-conformance-${randomUUID().slice(0, 8)}`
  const plain = await new MongoClient(url).connect()
  await plain.db(database).createCollection('counters')
  const datasource = mongoDatasource({ name: 'main', url, database, pool: { max: 1 } })
  const counters = datasource.collection<Counter>('counters')
  return {
    datasource,
    add: key => counters.updateOne({ _id: key }, { $inc: { n: 1 } }, { upsert: true }),
    read: async key => (await counters.findOne({ _id: key }))?.n ?? 0,
    close: async () => {
      await plain.db(database).dropDatabase()
      await plain.close()
    },
  }
}

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('the port of db-context on %s', key => {
  for (const { name, run } of datasourceConformance) it(name, () => run(() => make(inject(key))))
})
