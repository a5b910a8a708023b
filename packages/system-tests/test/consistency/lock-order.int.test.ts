import { createLock } from '@strata/consistency/lock'
import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { useStage } from './stage.ts'

const stage = useStage()
const job = defineJob({ name: 'locker', input: z.object({ key: z.string() }), output: z.string() })

async function opened() {
  const { db, store } = stage.place()
  await db.start()
  const lock = createLock({ db, datasource: store })
  const notes = store.collection<{ _id: string }>('notes')
  const take = (keys: string | string[], options: { waitMs?: number } = {}) =>
    lock.withLease(keys, async () => 'done', options)
  return { db, store, lock, notes, take }
}

const refused = { code: 'LOCK_ORDER', outcome: 'not-applied' }
const reentrant = { code: 'LOCK_REENTRANT', outcome: 'not-applied' }

test('a wait for a lock inside a transaction is refused, also when the lock is free; a try is not', async () => {
  const { db, lock, take } = await opened()
  await db.run(() =>
    db.transaction.begin(async () => {
      await expect(take('a')).rejects.toMatchObject({
        ...refused,
        details: { waitsFor: 'lock a', holds: expect.stringContaining('the connection of transaction') },
      })
      await using lease = await lock.tryAcquire('a')
      expect(lease?.isHeld).toBe(true)
      expect(await take('b', { waitMs: 0 })).toBe('done')
    }),
  )
  await db.run(async () => {
    await db.transaction.begin(async () => 1)
    expect(await take('a')).toBe('done')
    await db.transaction.begin(
      async () => void db.transaction.afterCommit(async () => expect(await take('a')).toBe('done')),
    )
  })
})

test('under a lock transactions may begin, and later locks be waited for; not earlier ones, nor itself', async () => {
  const { db, lock, notes, take } = await opened()
  await db.run(() =>
    lock.withLease(['b', 'd'], async () => {
      await db.transaction.begin(() => notes.insertOne({ _id: 'under a lock' }))
      expect(await take('e')).toBe('done')
      for (const key of ['a', 'c']) await expect(take(key)).rejects.toMatchObject(refused)
      for (const key of ['b', 'd']) {
        await expect(take(['e', key])).rejects.toMatchObject(reentrant)
        await expect(lock.tryAcquire(key)).rejects.toMatchObject(reentrant)
        await expect(db.run(() => take(key))).rejects.toMatchObject(reentrant)
      }
      await expect(db.run(() => take('a'))).rejects.toMatchObject(refused)
      expect(await lock.tryAcquire('a').then(lease => lease?.release())).toBe(true)
    }),
  )
})

test('outside any unit of work the same holds of what withLease holds', async () => {
  const { db, lock, take } = await opened()
  await lock.withLease(['b', 'd'], async () => {
    await expect(take('a')).rejects.toMatchObject(refused)
    await expect(take(['e', 'd'])).rejects.toMatchObject(reentrant)
    await expect(lock.tryAcquire(['a', 'b'])).rejects.toMatchObject(reentrant)
    await Promise.resolve().then(() => expect(take('b')).rejects.toMatchObject(reentrant))
    await expect(db.run(() => take('b'))).rejects.toMatchObject(reentrant)
    await expect(db.run(() => take('c'))).rejects.toMatchObject(refused)
    expect(await take('e')).toBe('done')
  })
  expect(await take('a')).toBe('done')
})

test('what goes on side by side holds nothing of the other, and the same lock is waited for', async () => {
  const { db, take } = await opened()
  await db.run(async () => {
    expect(await Promise.all([take('b'), take('a'), take('b')])).toEqual(['done', 'done', 'done'])
  })
})

test('a job does not wait for a lock in its slot, and finds that its caller has it', async () => {
  const { db, lock } = await opened()
  const queues = stage.queues(db)
  const worker = stage.worker(db)
  worker.handle(job, ({ key }) => lock.withLease(key, async () => 'done'))
  await worker.start()
  await db.run(() =>
    lock.withLease('a', async () => {
      await expect(queues.pushAsync(job, { key: 'a' })).rejects.toMatchObject(reentrant)
      await expect(queues.pushAsync(job, { key: 'b' })).rejects.toMatchObject(refused)
    }),
  )
})

test('a job that meets a lock which is taken is put back, and runs when it is free', async () => {
  const { db, lock } = await opened()
  const queues = stage.queues(db)
  const worker = stage.worker(db, { slots: 1 })
  let tries = 0
  worker.handle(job, ({ key }) => {
    tries += 1
    return lock.withLease(key, async () => key, { waitMs: 0 })
  })
  await worker.start()
  const lease = await lock.tryAcquire('a')
  const waits = db.run(() => queues.pushAsync(job, { key: 'a' }))
  await until(() => tries > 0, { deadlineMs: 20_000, message: 'the first try' })
  // The only slot is free for others meanwhile.
  expect(await db.run(() => queues.pushAsync(job, { key: 'b' }))).toBe('b')
  await lease?.release()
  expect(await waits).toBe('a')
})
