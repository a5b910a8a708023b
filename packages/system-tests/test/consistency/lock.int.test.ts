import { createLock, fenced, type Lock, type LockOptions } from '@strata/consistency/lock'
import type { DbContext } from '@strata/db-context'
import { gate, until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage()
const locksOf = () => stage.plain('strata.locks')

/** Locks as if in a process of their own. */
async function process(options: Partial<LockOptions> = {}): Promise<{ db: DbContext; lock: Lock }> {
  const { db, store } = stage.place()
  await db.start()
  const report = (error: unknown) => void stage.reports.push(error)
  return { db, lock: createLock({ db, datasource: store, report, ...options }) }
}

const ended = (work: Promise<unknown>) =>
  work.then(
    value => ({ value }),
    (error: { code?: string; outcome?: string; message?: string }) => error,
  )

test('work under one key is never two at a time, over processes, and each has a larger token', async () => {
  const processes = await Promise.all([process(), process(), process()])
  const seen: number[] = []
  let inside = 0
  const work = ({ db, lock }: Awaited<ReturnType<typeof process>>) =>
    db.run(() =>
      lock.withLease(
        'a',
        async ({ token }) => {
          inside += 1
          expect(inside).toBe(1)
          await stage.outside.command({ ping: 1 })
          seen.push(token)
          inside -= 1
        },
        { waitMs: 30_000 },
      ),
    )
  await Promise.all(processes.flatMap(each => Array.from({ length: 5 }, () => work(each))))
  expect(seen).toHaveLength(15)
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
})

test('holders of several keys that overlap do not wait for each other in a circle', async () => {
  const processes = await Promise.all([process(), process()])
  const sets = [
    ['a', 'b', 'c'],
    ['c', 'a'],
    ['b', 'c'],
    ['c', 'b', 'a'],
  ]
  const all = sets.flatMap((keys, n) => {
    const { db, lock } = processes[n % 2] ?? processes[0]
    return Array.from({ length: 4 }, () =>
      db.run(() => lock.withLease(keys, async lease => lease.keys, { waitMs: 30_000 })),
    )
  })
  for (const keys of await Promise.all(all)) expect(keys).toEqual([...keys].sort())
  expect(await locksOf().countDocuments({ lease: { $exists: true } })).toBe(0)
})

test('a lease is renewed for as long as its work goes on, and given back whatever that throws', async () => {
  const [{ db, lock }, other] = [await process({ ttlMs: 600 }), await process()]
  const done = gate()
  const held = db.run(() =>
    lock.withLease('a', async () => {
      await done.wait()
      throw 'no error'
    }),
  )
  const first = await until(() => locksOf().findOne({ lease: { $exists: true } }), {
    deadlineMs: 5000,
    message: 'a lease',
  })
  const hasBeenRenewed = () =>
    locksOf().findOne({ 'lease.until': { $gt: new Date(first?.['lease'].until.getTime() + 600) } })
  await until(hasBeenRenewed, { deadlineMs: 10_000, message: 'a renewal' })
  expect(await other.lock.tryAcquire('a')).toBeUndefined()
  done.open()
  await expect(held).rejects.toBe('no error')
  await expect(other.lock.tryAcquire('a')).resolves.toMatchObject({ keys: ['a'] })
})

test('a wait ends at its bound, and tells who holds the lock and for how long', async () => {
  const [holder, waiter] = [await process({ owner: 'the holder' }), await process()]
  await using lease = await holder.lock.tryAcquire(['c'])
  expect(lease?.token).toBeGreaterThan(0)
  const refused = await ended(waiter.db.run(() => waiter.lock.withLease(['c', 'b'], async () => 1, { waitMs: 200 })))
  expect(refused).toMatchObject({ code: 'LOCK_WAIT_TIMEOUT', outcome: 'not-applied', transient: true })
  expect(refused).toMatchObject({ details: { key: 'c', holder: 'the holder', ageMs: expect.any(Number) } })
  expect(await waiter.lock.list()).toMatchObject([{ key: 'c', holder: { owner: 'the holder' }, waiting: 0 }])
  expect(await waiter.lock.inspect('b')).not.toHaveProperty('holder')
})

test('what takes the lease of another is found by its renewal: the signal is aborted, and its release changes nothing', async () => {
  const [one, two] = [await process({ ttlMs: 600, owner: 'same name' }), await process({ owner: 'same name' })]
  const told = await ended(
    one.db.run(() =>
      one.lock.withLease('a', async lease => {
        // As a server's clock does that is set ahead.
        await locksOf().updateMany({}, { $set: { 'lease.until': new Date(0) } })
        const stolen = await two.lock.tryAcquire('a')
        expect(stolen?.token).toBeGreaterThan(lease.token)
        await new Promise(resolve => lease.signal.addEventListener('abort', resolve))
        expect(() => fenced(lease)).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }))
        expect(await lease.release()).toBe(false)
        expect(stolen?.isHeld).toBe(true)
        expect(await stolen?.release()).toBe(true)
      }),
    ),
  )
  expect(told).toMatchObject({ code: 'LOCK_LOST', outcome: 'unknown', details: { reason: 'taken' } })
})

test('a collection that is dropped loses its leases, and the tokens go on', async () => {
  const { db, lock } = await process({ ttlMs: 300 })
  const before = await lock.tryAcquire('a')
  const token = before?.token ?? 0
  await locksOf().drop()
  await until(() => before?.signal.aborted, { deadlineMs: 5000, message: 'the loss' })
  expect(await db.run(() => lock.withLease('a', async lease => lease.token))).toBeGreaterThan(token)
})

test('work that never ends loses its lease at holdMsMax, and whoever called it hears of that', async () => {
  const { db, lock } = await process({ ttlMs: 300 })
  const never = () => new Promise<never>(() => {})
  const told = await ended(db.run(() => lock.withLease('a', never, { holdMsMax: 100 })))
  expect(told).toMatchObject({ code: 'LOCK_LOST', details: { reason: 'hold-limit' } })
  expect(await db.run(() => lock.withLease('a', async () => 'next'))).toBe('next')
})

test('a unit of work that is given up loses its lease, and one that ends gives it back', async () => {
  const { db, lock } = await process({ ttlMs: 300 })
  const never = () => new Promise<never>(() => {})
  const told = await ended(db.run(() => lock.withLease('a', never), { deadlineMs: 200 }))
  expect(told).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  await db.run(async () => void (await lock.tryAcquire('b')))
  expect(await lock.tryAcquire('b')).toBeDefined()
  expect(await db.run(() => lock.withLease('a', async () => 'next'))).toBe('next')
})

test('a wait is given up by its signal, and leaves no place behind', async () => {
  const [holder, { db, lock }] = [await process(), await process()]
  await using _ = await holder.lock.tryAcquire('a')
  const stop = new AbortController()
  const waiting = ended(db.run(() => lock.withLease('a', async () => 1, { signal: stop.signal })))
  await until(() => locksOf().findOne({ 'queue.0': { $exists: true } }), { deadlineMs: 5000, message: 'a place' })
  stop.abort()
  expect(await waiting).toMatchObject({ code: 'ABORTED', outcome: 'not-applied' })
  expect(await locksOf().countDocuments({ queue: [] })).toBe(1)
})

const many = Array.from({ length: 10_000 }, (_, n) => `key-${n}`)

test.each([
  ['none', []],
  ['an empty text', ''],
  ['1,000', many.slice(0, 1000)],
  ['101', many.slice(0, 101)],
  ['10,000', many],
  ['one of 201 characters', 'k'.repeat(201)],
  ['one of 10 kB', 'k'.repeat(10_000)],
  ['one of 10 MB', 'k'.repeat(10_000_000)],
  ['a number', [1 as unknown as string]],
  ['a filter', { $gt: '' } as unknown as string],
  ['a symbol', [Symbol('a') as unknown as string]],
  ['nothing', undefined as unknown as string],
  ['half a character', '\ud800'],
])('keys that are %s are refused before anything is sent', async (_, keys) => {
  const { db, lock } = await process()
  const refused = { code: 'LOCK_KEYS_INVALID', outcome: 'not-applied' }
  await expect(lock.tryAcquire(keys)).rejects.toMatchObject(refused)
  await expect(db.run(() => lock.withLease(keys, async () => 1))).rejects.toMatchObject(refused)
  if (typeof keys === 'string') await expect(lock.inspect(keys)).rejects.toMatchObject(refused)
  expect(await locksOf().countDocuments()).toBe(0)
})

const wrongNumbers = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '100' as unknown as number]

test.each([
  ...wrongNumbers.flatMap(wrong => [{ ttlMs: wrong }, { holdMsMax: wrong }, { waitMs: wrong }]),
  ...[{ ttlMs: 0 }, { ttlMs: 99 }, { ttlMs: 600_001 }, { holdMsMax: 0 }, { holdMsMax: 86_400_001 }],
])('options that cannot work are refused: %o', async options => {
  const { db, lock } = await process()
  await expect(db.run(() => lock.withLease('a', async () => 1, options))).rejects.toMatchObject({ code: 'CONFIG' })
  expect(() => createLock({ db, datasource: stage.place().store, ...options })).toThrow(/Option/)
})

test('what nobody can look for is refused', async () => {
  const { lock } = await process()
  const filter = { $gt: '' } as unknown as string
  await expect(lock.inspect(filter)).rejects.toMatchObject({ code: 'LOCK_KEYS_INVALID' })
  await expect(lock.inspect('')).rejects.toMatchObject({ code: 'LOCK_KEYS_INVALID' })
  for (const limit of [0, ...wrongNumbers, 10_001]) {
    await expect(lock.list({ limit })).rejects.toMatchObject({ code: 'CONFIG' })
  }
})

test('one hundred keys are taken and given back, and one that is named twice is one', async () => {
  const { db, lock } = await process()
  const keys = many.slice(0, 100)
  const held = await db.run(() => lock.withLease([...keys].reverse(), async lease => lease.keys))
  expect(held).toEqual([...keys].sort())
  expect(await lock.tryAcquire(['b', 'a', 'b']).then(lease => lease?.keys)).toEqual(['a', 'b'])
  expect(await lock.list()).toHaveLength(2)
})

test('a wait whose signal is aborted before it begins asks for nothing', async () => {
  const { db, lock } = await process()
  const signal = AbortSignal.abort('not needed')
  for (const waitMs of [0, 1000]) {
    const told = await ended(db.run(() => lock.withLease(['a', 'b'], async () => 1, { signal, waitMs })))
    expect(told).toMatchObject({ code: 'ABORTED', outcome: 'not-applied' })
  }
  expect(await locksOf().countDocuments()).toBe(0)
})

test('an owner may be called anything, and a document of a newer version is left alone', async () => {
  const { lock } = await process({ owner: '$lease.id' })
  await using lease = await lock.tryAcquire(['$a.b', '__proto__'])
  expect(await lock.inspect('$a.b')).toMatchObject({ holder: { owner: '$lease.id' } })
  expect(lease?.tokenOf('__proto__')).toBeGreaterThan(0)
  await locksOf().insertOne({ _id: 'new', v: 2 })
  await expect(lock.tryAcquire('new')).rejects.toMatchObject({ code: 'LOCK_ROW_INVALID' })
  expect(await locksOf().findOne({ _id: 'new' })).toEqual({ _id: 'new', v: 2 })
})
