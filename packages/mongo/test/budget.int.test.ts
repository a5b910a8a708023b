import { createDbContext, type DeclaredProcesses } from '@strata/db-context'
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

  const context = (max: number, processes?: DeclaredProcesses) => {
    const store = mongoDatasource({ name: 'main', url: server.url, pool: { max, serviceMax: 1 }, streamsMax: 0 })
    return createDbContext({ datasources: [store], levels: { max: 1 }, ...(processes ? { processes } : {}) })
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
      details: { wanted: 65, reserved: 65, others: 45, limit: 100 },
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

  it('refuses the first of several declared processes when all of them would not fit', async () => {
    // 5 connections of pools and 4 monitors each: 27 for three workers.
    await using worker = context(2, { kind: 'worker', max: 3 })
    await worker.start()
    await using api = context(2, { kind: 'api', max: 9 })
    expect(await api.start().catch(error => error)).toMatchObject({
      code: 'CONNECTION_BUDGET',
      message: expect.stringMatching(
        /^9 processes of kind api are declared, .* 9 connections, so they count 81, .* 27,.* 100:/,
      ),
      details: { wanted: 9, reserved: 81, others: 27, limit: 100, kind: 'api', processesMax: 9 },
    })
    await using fewer = context(2, { kind: 'api', max: 8 })
    await fewer.start()
    await using undeclared = context(2)
    expect(await undeclared.start().catch(error => error)).toMatchObject({ details: { reserved: 9, others: 99 } })
    await using second = context(2, { kind: 'worker', max: 3 })
    await second.start()
    expect(await entries()).toHaveLength(3)
  })

  it('counts what runs beyond its declaration, and what is missing as the largest of its kind', async () => {
    const registry = new Registry(plain)
    const entry = (n: number, connections: number) => {
      return { _id: `p${n}`, connections, host: 'h', pid: n, kind: 'worker', processesMax: 3 }
    }
    // Two versions in a rolling deploy: 10 + 20 + 20 for the one that is missing.
    await registry.enter(entry(1, 10), 100)
    expect((await registry.enter(entry(2, 20), 49)).isIn).toBe(false)
    expect((await registry.enter(entry(2, 20), 50)).isIn).toBe(true)
    expect((await registry.enter(entry(3, 20), 50)).isIn).toBe(true)
    expect((await registry.enter(entry(4, 20), 69)).isIn).toBe(false)
    expect((await registry.enter(entry(4, 20), 70)).isIn).toBe(true)
  })

  it('counts at least what a process under full load has open', async () => {
    const store = mongoDatasource({
      name: 'main',
      url: server.url,
      appName: 'counted',
      pool: { max: 4 },
      streamsMax: 2,
    })
    await using db = createDbContext({ datasources: [store], levels: { max: 2 } })
    const things = store.collection('things')
    const at = (level: number) => db.run(() => db.switchDb(() => things.findOne({}), { level }))
    await Promise.all(Array.from({ length: 300 }, (_, n) => at(n % 3)))
    const stages = [{ $currentOp: { allUsers: true, idleConnections: true } }, { $match: { appName: 'counted' } }]
    const open = await plain
      .db('admin')
      .aggregate([...stages, { $match: { connectionId: { $exists: true } } }])
      .toArray()
    // Three levels of 4, two service connections and two streams, and a monitor each for three levels, service and streams.
    const [{ connections } = { connections: 0 }] = await entries()
    expect(connections).toBe(12 + 2 + 2 + 5)
    expect(open.length).toBeGreaterThan(9)
    expect(open.length).toBeLessThanOrEqual(connections)
  })

  it('forgets a process whose lease has expired, and takes a live one back at its renewal', async () => {
    const registry = new Registry(plain)
    const dead = { _id: 'dead', connections: 90, host: 'h', pid: 1 }
    const live = { _id: 'live', connections: 90, host: 'h', pid: 2 }
    await registry.enter(dead, 100)
    expect(await registry.enter(live, 100)).toMatchObject({ isIn: false, others: [{ _id: 'dead' }] })
    await plain
      .db('strata')
      .collection<{ _id: string }>('processes')
      .updateOne({ _id: 'connections' }, { $set: { 'processes.0.expiresAt': new Date(0) } })
    expect(await registry.enter(live, 100)).toEqual({ isIn: true, others: [] })
    await registry.renew(dead)
    expect((await entries()).map(({ _id }: { _id: string }) => _id)).toEqual(['live', 'dead'])
  })
})
