import { expect, test } from 'vitest'
import { FakeDatasource } from './conformance/fake-datasource.ts'
import { createDbContext, type DbContext } from './db-context.ts'

const open = (isolation: 'levels' | 'none' = 'levels') =>
  createDbContext({ datasources: [new FakeDatasource()], isolation })
const lock = (...names: string[]) => ({ names, what: `locks ${names}` })
const order = expect.objectContaining({ code: 'LOCK_ORDER', outcome: 'not-applied' })
const inJob = <T>(db: DbContext, header: string, body: () => Promise<T>) => {
  const { level, chain } = db.propagator.extract(header)
  return db.propagator.run({ name: 'job', id: 'id', level, chain, lane: { queue: 'q', level } }, body)
}

test('a lock is waited for before transactions, slots and later locks, and outside any unit of work', async () => {
  await using db = open()
  expect(() => db.locks.refuseWait(lock('a'))).not.toThrow()
  await db.run(async () => {
    expect(() => db.locks.refuseWait(lock('a'))).not.toThrow()
    await db.transaction.begin(async () => expect(() => db.locks.refuseWait(lock('a'))).toThrow(order))
    await db.locks.within(lock('b', 'd'), async () => {
      expect(() => db.locks.refuseWait(lock('e', 'f'))).not.toThrow()
      expect(() => db.locks.refuseWait(lock('e', 'c'))).toThrow(order)
      expect(() => db.locks.refuseWait(lock('a'))).toThrow('Waiting for locks a while holding locks b,d')
      await db.transaction.begin(async () => {})
      await db.run(async () => expect(() => db.locks.refuseWait(lock('c'))).toThrow(order))
    })
    expect(() => db.locks.refuseWait(lock('a'))).not.toThrow()
    const header = db.propagator.inject()
    await inJob(db, header, async () => expect(() => db.locks.refuseWait(lock('a'))).toThrow(order))
    await db.run(async () => expect(() => db.locks.refuseWait(lock('a'))).toThrow(/which awaits this work/), { header })
  })
})

test('what a piece of work holds is known to all that it awaits, in any process, and to nobody beside it', async () => {
  await using db = open()
  await using elsewhere = open()
  let header = ''
  await db.run(async () => {
    const forget = db.locks.keep(lock('kept'), async () => {})
    await db.locks.within(lock('a', 'b'), async () => {
      header = db.propagator.inject()
      expect(db.locks.heldBy(['c', 'b'])).toEqual({ name: 'b', holder: 'locks a,b' })
    })
    expect(db.locks.heldBy(['b'])).toBeUndefined()
    expect(db.locks.heldBy(['kept'])).toBeDefined()
    forget()
    expect(db.locks.heldBy(['kept'])).toBeUndefined()
  })
  await inJob(elsewhere, header, async () => {
    expect(elsewhere.locks.heldBy(['x', 'a'])).toEqual({
      name: 'a',
      holder: 'run run (level 0), which awaits this work',
    })
    expect(elsewhere.locks.heldBy(['kept'])).toBeDefined()
    expect(elsewhere.locks.heldBy(['c'])).toBeUndefined()
    const next = elsewhere.propagator.inject()
    await inJob(db, next, async () => expect(db.locks.heldBy(['b'])).toBeDefined())
  })
})

test('a lock that is kept ends with its unit of work, and nothing is refused without levels', async () => {
  await using db = open('none')
  const ended: string[] = []
  await db.run(async () => {
    db.locks.keep(lock('a'), async () => void ended.push('a'))
    await db.transaction.begin(async () => expect(() => db.locks.refuseWait(lock('b'))).not.toThrow())
  })
  expect(ended).toEqual(['a'])
})

test('outside any unit of work the locks around a wait are known too, in units begun there as well, until their body ends', async () => {
  await using db = open()
  const later = Promise.withResolvers<void>()
  let header = ''
  const left = await db.locks.within(lock('b'), async () => {
    expect(() => db.locks.refuseWait(lock('c'))).not.toThrow()
    expect(() => db.locks.refuseWait(lock('a'))).toThrow(order)
    expect(db.locks.heldBy(['a', 'b'])).toEqual({ name: 'b', holder: 'locks b' })
    await db.locks.within(lock('c'), async () => expect(db.locks.heldBy(['b'])).toBeDefined())
    expect(db.locks.heldBy(['c'])).toBeUndefined()
    await db.run(async () => {
      expect(db.locks.heldBy(['b'])).toBeDefined()
      expect(() => db.locks.refuseWait(lock('a'))).toThrow(order)
      header = db.propagator.inject()
    })
    return [later.promise.then(() => db.locks.heldBy(['b']))]
  })
  await inJob(db, header, async () => expect(db.locks.heldBy(['b'])).toBeDefined())
  expect(() => db.locks.refuseWait(lock('a'))).not.toThrow()
  later.resolve()
  expect(await Promise.all(left)).toEqual([undefined])
})

test('what goes on beside a body that has ended holds its locks no longer', async () => {
  await using db = open()
  await db.run(async () => {
    const ended = Promise.withResolvers<void>()
    const [left] = await db.locks.within(lock('b'), async () => [ended.promise.then(() => db.locks.heldBy(['b']))])
    ended.resolve()
    expect(await left).toBeUndefined()
  })
})
