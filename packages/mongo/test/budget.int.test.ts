import { createDbContext } from '@strata/db-context'
import { type ServerHandle, startMongo } from '@strata/testkit'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Registry } from '../src/budget/registry.ts'
import { mongoDatasource } from '../src/index.ts'

describe('the connection budget', () => {
  let server: ServerHandle
  let plain: MongoClient
  beforeAll(async () => {
    server = await startMongo({ mongoArgs: ['--maxConns', '100'], report: () => {} })
    plain = await new MongoClient(server.url).connect()
  })
  afterAll(async () => {
    await plain.close()
    await server.stop()
  })
  beforeEach(() => plain.db('strata').collection('processes').deleteMany({}))

  const context = (max: number) => {
    const store = mongoDatasource({ name: 'main', url: server.url, pool: { max, serviceMax: 1 }, streamsMax: 0 })
    return createDbContext({ datasources: [store], levels: { max: 1 } })
  }
  const entries = async () => {
    const [book] = await plain.db('strata').collection('processes').find().toArray()
    return book?.['processes'] ?? []
  }

  it('refuses a process whose pools do not fit beside the others, and takes it when they have gone', async () => {
    await using first = context(20)
    await first.start()
    await using second = context(30)
    // 2 levels of 30, 1 service connection, and a monitor for each of 3 clients and the streams.
    expect(await second.start().catch(error => error)).toMatchObject({
      code: 'CONNECTION_BUDGET',
      outcome: 'not-applied',
      details: { wanted: 65, others: 45, limit: 100 },
    })
    expect(await entries()).toHaveLength(1)
    await first.stop()
    await second.start()
    expect(await entries()).toMatchObject([{ connections: 65 }])
    await second.stop()
    expect(await entries()).toEqual([])
  })

  it('never lets two in at once that do not fit together', async () => {
    const entry = (n: number) => ({ _id: `p${n}`, connections: 30, host: 'h', pid: n })
    const registries = Array.from({ length: 10 }, () => new Registry(plain))
    const entered = await Promise.all(registries.map((registry, n) => registry.enter(entry(n), 100)))
    expect(entered.filter(({ isIn }) => isIn)).toHaveLength(3)
    expect(await entries()).toHaveLength(3)
  })

  it('forgets a process whose lease has expired, and takes a live one back at its renewal', async () => {
    const registry = new Registry(plain)
    const dead = { _id: 'dead', connections: 90, host: 'h', pid: 1 }
    const live = { _id: 'live', connections: 90, host: 'h', pid: 2 }
    await registry.enter(dead, 100)
    expect(await registry.enter(live, 100)).toEqual({ isIn: false, others: 90 })
    await plain
      .db('strata')
      .collection<{ _id: string }>('processes')
      .updateOne({ _id: 'connections' }, { $set: { 'processes.0.expiresAt': new Date(0) } })
    expect(await registry.enter(live, 100)).toEqual({ isIn: true, others: 0 })
    await registry.renew(dead)
    expect((await entries()).map(({ _id }: { _id: string }) => _id)).toEqual(['live', 'dead'])
  })
})
