import { describe, expect, it } from 'vitest'
import { FakeDatasource, type FakeOptions } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'
import type { ContextOptions } from './options.ts'
import type { BeginTransactionOptions } from './terms.ts'

function make(fakeOptions: FakeOptions = {}, options: Partial<ContextOptions> = {}) {
  const fake = new FakeDatasource(fakeOptions)
  const reported: unknown[] = []
  const report = (error: unknown, what: string) => reported.push([what, error])
  return { db: createDbContext({ datasources: [fake], report, ...options }), fake, reported }
}

const config = (option: string) =>
  expect.objectContaining({ code: 'CONFIG', outcome: 'not-applied', details: expect.objectContaining({ option }) })

const given: [keyof BeginTransactionOptions, BeginTransactionOptions][] = [
  ['deadlineMs', { deadlineMs: 1000 }],
  ['retries', { retries: 1 }],
  ['readConcern', { readConcern: 'majority' }],
  ['writeConcern', { writeConcern: { w: 1 } }],
]

describe('the terms of a transaction', () => {
  it.each(given)('%s of a scope that joins is refused where it differs, and nothing is done', async (option, terms) => {
    const { db, fake } = make()
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        await expect(db.transaction.begin(() => fake.add('x'), terms)).rejects.toEqual(config(option))
        await fake.add('y')
      }),
    )
    await begun
    expect(await db.run(async () => [await fake.read('x'), await fake.read('y')])).toEqual([0, 1])
  })

  it.each(given)('%s of a scope that joins may repeat what the transaction has', async (_, terms) => {
    const { db, fake } = make()
    await db.run(() => db.transaction.begin(() => db.transaction.begin(() => fake.add('x'), terms), terms))
    expect(await db.run(() => fake.read('x'))).toBe(1)
  })

  it('a longer deadline than the transaction has is kept by it', async () => {
    const { db } = make()
    const inner = () => db.transaction.begin(async () => 'ran', { deadlineMs: 35_000 })
    expect(await db.run(() => db.transaction.begin(inner))).toBe('ran')
  })

  it.each(given)('%s is refused with what never begins a transaction', async (option, terms) => {
    const { db } = make()
    for (const propagation of ['supports', 'mandatory', 'not-supported', 'never'] as const) {
      const begun = db.run(() => db.transaction.begin(async () => 'ran', { ...terms, propagation }))
      await expect(begun).rejects.toEqual(config(option))
    }
  })

  it('of concerns compare by what they say', async () => {
    const { db } = make()
    const inner = () => db.transaction.begin(async () => 'ran', { writeConcern: { journal: true, w: 1 } })
    const begun = db.run(() => db.transaction.begin(inner, { writeConcern: { w: 1, journal: true } }))
    expect(await begun).toBe('ran')
  })

  it('reach the adapter, with the name of the part in ROLLBACK_ONLY', async () => {
    const { db, fake } = make()
    const part = () => db.transaction.begin(() => Promise.reject(new Error('part')), { name: 'charge' }).catch(() => {})
    const begun = db.run(() =>
      db.transaction.begin(part, { name: 'order', readConcern: 'local', writeConcern: { w: 2 } }),
    )
    await expect(begun).rejects.toThrow('Transaction order cannot be committed: its part charge failed')
    expect(fake.pools[0]?.begun[0]?.concerns).toEqual({ readConcern: 'local', writeConcern: { w: 2 } })
  })

  it('know their propagation', async () => {
    const { db } = make()
    const options: object = { propagation: 'require-new' }
    await expect(db.run(() => db.transaction.begin(async () => 'ran', options))).rejects.toEqual(config('propagation'))
  })
})

describe('the lifetime that the server gives a transaction', () => {
  const lifetime = { ms: 20_000, assumed: undefined }

  it('refuses the start when the default deadline is not below it', async () => {
    const { db } = make({ lifetime })
    await expect(db.start()).rejects.toEqual(config('transaction.deadlineMs'))
    await expect(db.run(async () => 'ran')).rejects.toEqual(config('transaction.deadlineMs'))
  })

  it('refuses a longer deadline at begin, before the body runs', async () => {
    const { db } = make({ lifetime }, { transaction: { deadlineMs: 10_000 } })
    const begun = (deadlineMs: number) => db.run(() => db.transaction.begin(async () => 'ran', { deadlineMs }))
    expect(await begun(19_999)).toBe('ran')
    await expect(begun(20_000)).rejects.toEqual(config('deadlineMs'))
  })

  it('is assumed with one word where the server does not tell', async () => {
    const cause = new Error('not authorized')
    const { db, reported } = make({ lifetime: { ms: 60_000, assumed: cause } })
    await db.start()
    await db.run(() => db.transaction.begin(async () => {}))
    expect(reported).toEqual([['Reading the lifetime of transactions', expect.objectContaining({ cause })]])
  })
})

describe('a transaction with an id of its own', () => {
  const id = 'key-1'
  const now = new Date(0)

  it('has that id and time in each attempt, and its calls are made under it', async () => {
    const { db } = make()
    const seen = await db.run(() =>
      db.transaction.begin(
        async () => {
          const step = db.propagator.call('job').step()
          return { transaction: db.current.transaction, call: step?.id, isShared: step?.isShared }
        },
        { id, now },
      ),
    )
    expect(seen).toMatchObject({ transaction: { id, now }, call: `${id}.0`, isShared: true })
  })

  it('shares no calls without one', async () => {
    const { db } = make()
    const isShared = await db.run(() => db.transaction.begin(async () => db.propagator.call('job').step()?.isShared))
    expect(isShared).toBe(false)
  })

  it.each<[keyof BeginTransactionOptions, BeginTransactionOptions]>([
    ['id', { id: 'no:colon' }],
    ['id', { id: '' }],
    ['id', { id: 'x'.repeat(129) }],
    ['now', { now: new Date('never') }],
  ])('is refused where its %s cannot be one: %j', async (option, options) => {
    const { db } = make()
    await expect(db.run(() => db.transaction.begin(async () => {}, options))).rejects.toEqual(config(option))
  })

  it.each<[string, BeginTransactionOptions]>([
    ['joins', {}],
    ['begins one inside', { propagation: 'requires-new' }],
  ])('is refused where it %s another', async (_, options) => {
    const { db } = make()
    const begun = db.run(() => db.transaction.begin(() => db.transaction.begin(async () => {}, { ...options, id })))
    await expect(begun).rejects.toEqual(config('id'))
  })
})
