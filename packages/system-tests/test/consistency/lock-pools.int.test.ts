import { randomUUID } from 'node:crypto'
import { createLock } from '@strata/consistency/lock'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { gate, until } from '@strata/testkit'
import { afterEach, expect, inject, test } from 'vitest'

const stops: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** Locks beside a pool of one connection. */
async function opened(url: string, ttlMs: number) {
  const database = `lock-pools-${randomUUID().slice(0, 8)}`
  const store = mongoDatasource({ name: 'main', url, database, pool: { max: 1 } })
  const db = createDbContext({ datasources: [store], levels: { max: 1 } })
  const notes = store.collection<{ _id: number }>('notes')
  stops.push(
    () => db.stop({ deadlineMs: 2000 }),
    () => store.service.collection('strata.locks').drop(),
    () => store.service.collection('notes').drop(),
  )
  await db.start()
  await db.run(() => notes.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]))
  return { db, notes, lock: createLock({ db, datasource: store, ttlMs }) }
}

test('a lease is taken, renewed and given back although all connections but those for services are taken', async () => {
  const { db, notes, lock } = await opened(inject('mongoUrl'), 600)
  const [isTaken, done] = [gate(), gate()]
  const busy = db.run(() =>
    db.transaction.begin(async () => {
      await notes.findOne({})
      isTaken.open()
      await done.wait(30_000)
    }),
  )
  await isTaken.wait()
  const lease = await lock.tryAcquire('a')
  const isRenewed = async () => {
    const { ageMs = 0, leftMs = 0 } = (await lock.inspect('a'))?.holder ?? {}
    return ageMs > 1200 && leftMs > 0
  }
  await until(isRenewed, { deadlineMs: 20_000, message: 'renewals for twice its time' })
  expect([lease?.isHeld, await lease?.release()]).toEqual([true, true])
  done.open()
  await busy
})

test('a wait for a lock is refused under an open cursor that keeps its connection, and a try is not', async () => {
  const { db, notes, lock } = await opened(inject('mongoLbUrl'), 10_000)
  await db.run(async () => {
    const cursor = notes.find().batchSize(1)
    await cursor.next()
    const told = lock.withLease('a', async () => 1)
    await expect(told).rejects.toMatchObject({
      code: 'LOCK_ORDER',
      outcome: 'not-applied',
      details: { holds: expect.stringContaining('an open cursor') },
    })
    expect(await lock.tryAcquire('a').then(lease => lease?.release())).toBe(true)
    await cursor.close()
    expect(await lock.withLease('a', async () => 'done')).toBe('done')
  })
})
