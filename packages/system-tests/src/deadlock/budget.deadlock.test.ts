import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { type ServerHandle, startMongo, until } from '@strata/testkit'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { end } from './fixture.ts'

const connectionsMax = 40
let server: ServerHandle

beforeAll(async () => {
  server = await startMongo({ private: true, mongoArgs: ['--maxConns', String(connectionsMax)] })
})
afterAll(() => server.stop())

it('a pool that opens late finds the server full of idle connections of shallower ones', async () => {
  const options = { serverMonitoringMode: 'poll', serverSelectionTimeoutMS: 1500 } as const
  // With this client's monitor that is the limit and one more, which mongod lets in.
  const size = connectionsMax
  const level0 = new MongoClient(server.url, { ...options, maxPoolSize: size, minPoolSize: size })
  const level1 = new MongoClient(server.url, options)
  let ready = 0
  level0.on('connectionReady', () => {
    ready += 1
  })
  try {
    await level0.db('admin').command({ ping: 1 })
    await until(() => ready === size, { deadlineMs: 20_000, message: `${size} idle connections` })
    expect(await end(level1.db('admin').command({ ping: 1 }))).toMatch(/MongoServerSelectionError|MongoNetworkError/)
  } finally {
    await Promise.all([level0.close(), level1.close()])
  }
})

it('the sum over all processes is checked at start, before anything waits', async () => {
  const context = (max: number) =>
    createDbContext({
      datasources: [mongoDatasource({ name: 'main', url: server.url, pool: { max, serviceMax: 1 } })],
      levels: { max: 2 },
    })
  const first = context(3)
  const second = context(50)
  await first.start()
  try {
    const error = await second.start().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({
      code: 'CONNECTION_BUDGET',
      outcome: 'not-applied',
      details: { limit: connectionsMax },
    })
  } finally {
    await Promise.all([first.stop(), second.stop()])
  }
})
