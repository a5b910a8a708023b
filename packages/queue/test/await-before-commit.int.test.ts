import type { DbContext } from '@strata/db-context'
import { beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type Pushed, type Queues } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
let db: DbContext
let queues: Queues

beforeEach(async () => {
  db = stage.db()
  queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  worker.handle(job, async ({ n }) => n)
  await worker.start()
})

const push = () => queues.push(job, { n: 1 }, { dbInfo: { level: 3 } })
const refused = { code: 'AWAIT_BEFORE_COMMIT', outcome: 'not-applied', transient: false }
const requiresNew = { propagation: 'requires-new' } as const
const notSupported = { propagation: 'not-supported' } as const

/** Where the result of a push is awaited although the transaction that pushed it waits for this. */
test.each<[string, (pushed: Pushed<number>) => Promise<number>]>([
  ['its own body', pushed => pushed.result()],
  ['a part that joined', pushed => db.transaction.begin(() => pushed.result())],
  ['a deeper level', pushed => db.switchDbIsolate(() => pushed.result())],
  ['an inner transaction', pushed => db.transaction.begin(() => pushed.result(), requiresNew)],
  ['a part without transaction', pushed => db.transaction.begin(() => pushed.result(), notSupported)],
  ['a unit of work of its own', pushed => db.run(() => pushed.result())],
])('the result of a push is refused before the commit in %s, at once', async (_, wait) => {
  const made: Pushed<number>[] = []
  const begun = db.run(() =>
    db.transaction.begin(async () => {
      made.push(await push())
      for (const pushed of made) await expect(wait(pushed)).rejects.toMatchObject(refused)
    }),
  )
  await begun.catch(error => expect(error).toMatchObject({ code: 'ROLLBACK_ONLY', cause: refused }))
})

test('a joined part that pushed is no better: the commit is the outer one', async () => {
  const begun = db.run(() =>
    db.transaction.begin(async () => {
      const pushed = await db.transaction.begin(() => push())
      await pushed.result()
    }),
  )
  await expect(begun).rejects.toMatchObject(refused)
})

test('the push of an inner transaction that has committed may be awaited in the outer one', async () => {
  const value = await db.run(() =>
    db.transaction.begin(async () => {
      const pushed = await db.transaction.begin(() => push(), requiresNew)
      return await pushed.result()
    }),
  )
  expect(value).toBe(1)
})

test('work that has only the handle is refused until the commit, and served after it', async () => {
  const pushing = Promise.withResolvers<Pushed<number>>()
  const waited = Promise.withResolvers<void>()
  const begun = db.run(() =>
    db.transaction.begin(async () => {
      pushing.resolve(await push())
      await waited.promise
    }),
  )
  const pushed = await pushing.promise
  await expect(pushed.result()).rejects.toMatchObject(refused)
  waited.resolve()
  await begun
  expect(await db.run(() => pushed.result())).toBe(1)
})

test('a handle of a transaction that was rolled back stays refused', async () => {
  let made: Pushed<number> | undefined
  const begun = db.run(() =>
    db.transaction.begin(async () => {
      made = await push()
      throw new Error('no')
    }),
  )
  await expect(begun).rejects.toThrow('no')
  await expect(made?.result()).rejects.toMatchObject(refused)
})
