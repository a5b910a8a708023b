import { createLock, fenced } from '@strata/consistency/lock'
import { until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

interface Account {
  readonly _id: string
  readonly cents: number
  readonly fence?: Readonly<Record<string, number>>
}

const stage = useStage()

async function opened() {
  const { db, store } = stage.place()
  await db.start()
  const lock = createLock({ db, datasource: store, ttlMs: 300 })
  const accounts = store.collection<Account>('accounts')
  await stage.plain('accounts').insertOne({ _id: 'x', cents: 0 })
  return { db, lock, accounts }
}

/** The fence of a lease that is over by now, as a paused process has it, and a newer lease of the same keys. */
async function twoFences(keys: string | string[], newer = keys) {
  const made = await opened()
  const old = await made.lock.tryAcquire(keys)
  if (!old) throw new Error('not granted')
  const oldFence = fenced(old)
  await old.release()
  const lease = await made.lock.tryAcquire(newer, { ttlMs: 60_000 })
  if (!lease) throw new Error('not granted')
  return { ...made, oldFence, lease, fence: fenced(lease) }
}

test('a write under an older token is refused once a newer one has written, and before that it is not', async () => {
  const { db, accounts, oldFence, fence, lease } = await twoFences('a')
  await db.run(async () => {
    const before = await accounts.updateOne({ _id: 'x', ...oldFence.filter }, oldFence.update({ $set: { cents: 1 } }))
    expect(before.matchedCount).toBe(1)
    for (const cents of [2, 3]) {
      fence.check(await accounts.updateOne({ _id: 'x', ...fence.filter }, fence.update({ $set: { cents } })))
    }
    const stale = await accounts.updateOne({ _id: 'x', ...oldFence.filter }, oldFence.update({ $set: { cents: 9 } }))
    expect(() => oldFence.check(stale)).toThrow(
      expect.objectContaining({ code: 'LOCK_FENCED', outcome: 'not-applied' }),
    )
    expect(await accounts.deleteOne({ _id: 'x', ...oldFence.filter })).toMatchObject({ deletedCount: 0 })
  })
  expect(await stage.plain('accounts').findOne({})).toEqual({ _id: 'x', cents: 3, fence: { a: lease.token } })
})

test('a pipeline and a find-and-write are guarded the same, in a transaction too', async () => {
  const { db, accounts, oldFence, fence } = await twoFences('any key: of whatever characters.$')
  await db.run(() =>
    db.transaction.begin(async () => {
      const update = fence.update([{ $set: { cents: { $add: ['$cents', 5] } } }])
      fence.check(await accounts.findOneAndUpdate({ _id: 'x', ...fence.filter }, update))
    }),
  )
  const update = oldFence.update([{ $set: { cents: -1 } }])
  const stale = db.run(() => accounts.findOneAndUpdate({ _id: 'x', ...oldFence.filter }, update))
  await expect(stale.then(oldFence.check)).rejects.toMatchObject({ code: 'LOCK_FENCED' })
  expect(await stage.plain('accounts').findOne({})).toMatchObject({ cents: 5 })
})

test('of leases with several keys the one in common guards', async () => {
  const { db, accounts, oldFence, fence } = await twoFences(['a', 'b'], ['b', 'c'])
  const write = (by: typeof fence) =>
    db.run(() => accounts.updateOne({ _id: 'x', ...by.filter }, by.update({ $inc: { cents: 1 } })))
  expect(await write(fence)).toMatchObject({ matchedCount: 1 })
  expect(await write(oldFence)).toMatchObject({ matchedCount: 0 })
})

test('what cannot be guarded is refused', async () => {
  const { fence, lease, lock } = await twoFences(['a', 'b'])
  const invalid = expect.objectContaining({ code: 'LOCK_FENCE_INVALID' })
  expect(() => fence.update({ cents: 1 })).toThrow(invalid)
  expect(() => fence.update({})).toThrow(invalid)
  expect(() => fenced(lease, { field: 'a.b' })).toThrow(invalid)
  const keys = expect.objectContaining({ code: 'LOCK_KEYS_INVALID' })
  expect(() => fenced(lease, { keys: ['c'] })).toThrow(keys)
  expect(() => lease.token).toThrow(keys)
  await lease.release()
  expect(() => fenced(lease)).toThrow(expect.objectContaining({ code: 'LOCK_LOST', outcome: 'not-applied' }))
  const lost = await lock.tryAcquire('c', { holdMsMax: 1 })
  await until(() => lost?.isHeld === false, { deadlineMs: 5000, message: 'the loss' })
  expect(() => lost && fenced(lost)).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }))
})
