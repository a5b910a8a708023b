import { hasCode } from '@strata/db-context'
import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type Process, useStage } from './stage.ts'

const job = defineJob({ name: 'welcome', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
const rows = () => stage.plain('strata.outbox')

const begin = <T>({ db }: Process, body: () => Promise<T>) => db.run(() => db.transaction.begin(body))

/** A worker that notes what it handled, in order. */
async function startHandling(process: Process, slots = 10) {
  const handled: number[] = []
  const worker = process.worker({ slots })
  worker.handle(job, async ({ n }) => {
    handled.push(n)
    return n
  })
  await worker.start()
  return { handled, untilHandled: (count: number) => untilLength(handled, count) }
}

const untilLength = (list: readonly unknown[], count: number) =>
  until(() => list.length >= count, { deadlineMs: 15_000, message: `${count} jobs to be handled` })

test('a push inside a transaction is a row in it, and is sent once it has committed', async () => {
  const process = await stage.process()
  const { handled, untilHandled } = await startHandling(process)
  const { db, queues } = process
  const pushed = await begin(process, async () => {
    const push = await queues.push(job, { n: 1 })
    expect(await rows().countDocuments()).toBe(0)
    return push
  })
  expect(await rows().findOne()).toMatchObject({ job: 'welcome', id: pushed.id, v: 1 })
  await untilHandled(1)
  expect(handled).toEqual([1])
  expect(await db.run(() => pushed.result())).toBe(1)
  await process.outbox.flush()
  expect(await rows().findOne()).toMatchObject({ state: 'published', publishedAt: expect.any(Date) })
})

test('a push of a transaction that rolls back leaves nothing', async () => {
  const process = await stage.process()
  const begun = begin(process, async () => {
    await process.queues.push(job, { n: 1 })
    throw new Error('no')
  })
  await expect(begun).rejects.toThrow('no')
  expect(await rows().countDocuments()).toBe(0)
  expect(await process.queues.queue(job).getJobCountByTypes()).toBe(0)
})

test('the row of an attempt that was repeated is not there twice', async () => {
  const process = await stage.process()
  const { handled, untilHandled } = await startHandling(process)
  let attempts = 0
  await begin(process, async () => {
    attempts += 1
    await process.queues.push(job, { n: attempts })
    if (attempts > 1) return
    const items = process.store.collection<{ _id: string; n: number }>('items')
    await items.findOne({})
    await stage.plain('items').updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { upsert: true })
    await items.updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { upsert: true })
  })
  await untilHandled(1)
  expect([attempts, handled]).toEqual([2, [2]])
})

test('a result is refused before the commit, and waited for while the row is in the outbox', async () => {
  const process = await stage.process()
  const pushed = await begin(process, async () => {
    const push = await process.queues.push(job, { n: 7 })
    const error = await push.result().catch((thrown: unknown) => thrown)
    expect(hasCode(error, 'AWAIT_BEFORE_COMMIT')).toBe(true)
    return push
  })
  const result = pushed.result()
  await startHandling(process)
  expect(await result).toBe(7)
})

test('what nobody published is relayed: by another process, in the order of each key', async () => {
  // Its own publishing is off: as if it had been killed right after each commit.
  const killed = await stage.process()
  await killed.outbox.stop()
  for (let n = 1; n <= 30; n++) {
    await begin(killed, () => killed.queues.push(job, { n }, { key: `k${n % 3}` }))
  }
  const relaying = await stage.process({ graceMs: 0 })
  const { handled, untilHandled } = await startHandling(relaying, 1)
  relaying.outbox.start()
  await untilHandled(30)
  for (const rest of [0, 1, 2]) {
    const ofKey = handled.filter(n => n % 3 === rest)
    expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b))
  }
  expect(handled).toHaveLength(30)
})

test('an ordered push waits for the job before it to end, though there are slots enough', async () => {
  const process = await stage.process({ graceMs: 0 })
  const running = new Set<number>()
  const seen: number[] = []
  let together = 0
  const worker = process.worker({ slots: 10 })
  worker.handle(job, async ({ n }) => {
    running.add(n)
    together = Math.max(together, running.size)
    await new Promise(resolve => setImmediate(resolve))
    seen.push(n)
    running.delete(n)
    return n
  })
  await worker.start()
  process.outbox.start()
  for (let n = 1; n <= 12; n++) {
    await begin(process, () => process.queues.push(job, { n }, { key: 'one', ordered: true }))
  }
  await untilLength(seen, 12)
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  expect(together).toBe(1)
})

test('what writes the same document and pushes under the same key is sent in the order of the commits', async () => {
  const [one, two] = await Promise.all([stage.process(), stage.process()])
  const { handled, untilHandled } = await startHandling(one, 1)
  const push = (process: Process) =>
    begin(process, async () => {
      const counters = process.store.collection<{ _id: string; n: number }>('counters')
      const counter = await counters.findOneAndUpdate(
        { _id: 'c' },
        { $inc: { n: 1 } },
        { upsert: true, returnDocument: 'after' },
      )
      await process.queues.push(job, { n: counter?.n ?? 0 }, { key: 'same' })
    })
  await Promise.all(Array.from({ length: 8 }, (_, n) => push(n % 2 === 0 ? one : two)))
  one.outbox.start()
  await untilHandled(8)
  expect(handled).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})

test.each([
  ['run once each', {}, 2],
  ['exclude each other where their order is to be kept, too', { ordered: true }, 3],
])('transactions of one key that overlap %s', async (_, options, expected) => {
  const process = await stage.process()
  const { handled, untilHandled } = await startHandling(process, 1)
  const written = process.store.collection('written')
  await stage.outside.createCollection('written')
  const first = Promise.withResolvers<void>()
  let bodies = 0
  const push = (n: number, until: Promise<void>) =>
    begin(process, async () => {
      bodies += 1
      await written.insertOne({ n })
      await process.queues.push(job, { n }, { key: 'same', ...options })
      await until
    })
  const later = push(2, first.promise)
  await push(1, Promise.resolve())
  first.resolve()
  await later
  await untilHandled(2)
  expect([bodies, handled]).toEqual([expected, [1, 2]])
})

test.each([
  ['a key', { key: 'k' }],
  ['an order', { ordered: true }],
])('%s outside a transaction is refused', async (_, options) => {
  const { db, queues } = await stage.process()
  await expect(db.run(() => queues.push(job, { n: 1 }, options))).rejects.toMatchObject({ code: 'OPTION_REFUSED' })
})

test.each([[''], ['x'.repeat(513)], ['x'.repeat(10_000_000)]])('a key that is none is refused', async key => {
  const process = await stage.process()
  const begun = begin(process, () => process.queues.push(job, { n: 1 }, { key }))
  await expect(begun).rejects.toMatchObject({ code: 'OUTBOX_KEY_INVALID', outcome: 'not-applied' })
})
