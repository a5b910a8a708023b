import { fileURLToPath } from 'node:url'
import { createLock, fenced } from '@strata/consistency/lock'
import { spawnNode } from '@strata/testkit'
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage()
const holderFile = fileURLToPath(new URL('process/lock-holder.ts', import.meta.url))
const has =
  <K extends string>(name: K) =>
  (message: unknown): message is Record<K, unknown> =>
    typeof message === 'object' && message !== null && name in message

test('a process that was stopped for longer than its lease sees that at once, and its write is refused', async () => {
  const { db, store } = stage.place()
  await db.start()
  const lock = createLock({ db, datasource: store })
  await stage.plain('guarded').insertOne({ _id: 'x', by: 'nobody' })
  await using holder = await spawnNode(holderFile, { ipc: true, args: [stage.url, stage.database] })
  const { held } = await holder.nextMessage(has('held'), 20_000)
  expect(await lock.inspect('a')).toMatchObject({ token: held, holder: { owner: 'stopped' } })
  holder.kill('SIGSTOP')
  const guarded = store.collection<{ _id: string; by: string }>('guarded')
  const token = await db.run(() =>
    lock.withLease(
      'a',
      async lease => {
        const fence = fenced(lease)
        fence.check(await guarded.updateOne({ _id: 'x', ...fence.filter }, fence.update({ $set: { by: 'next' } })))
        return lease.token
      },
      { waitMs: 30_000 },
    ),
  )
  expect(token).toBeGreaterThan(Number(held))
  holder.send('go on')
  holder.kill('SIGCONT')
  const late = await holder.nextMessage(has('matchedCount'), 20_000)
  expect(late).toEqual({ seen: { isHeld: false, isAborted: true }, matchedCount: 0 })
  expect(await holder.nextMessage(has('code'), 20_000)).toEqual({ code: 'LOCK_LOST', outcome: 'unknown' })
  expect(await stage.plain('guarded').findOne({})).toMatchObject({ by: 'next' })
})
