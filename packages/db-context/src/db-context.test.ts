import { describe, expect, it } from 'vitest'
import { FakeDatasource, FakeStore } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'
import type { ContextOptions } from './options.ts'

function make(options: Partial<ContextOptions> = {}) {
  const first = new FakeDatasource({ name: 'first' })
  const second = new FakeDatasource({ name: 'second' })
  const db = createDbContext({ datasources: [first, second], lockWaitMs: 100, levels: { max: 2 }, ...options })
  return { db, first, second }
}

type Db = ReturnType<typeof make>['db']

const code = (code: string) => expect.objectContaining({ code })

describe('levels', () => {
  it('switchDbIsolate goes one deeper, switchDb to the level given', async () => {
    const { db } = make()
    const seen = await db.run(async () => [
      db.current.level,
      await db.switchDbIsolate(async () => db.current.level),
      await db.switchDb(async () => db.current.level, { level: 2 }),
      db.current.level,
    ])
    expect(seen).toEqual([0, 1, 2, 0])
  })

  it('the same level keeps the transaction, a deeper one is outside it', async () => {
    const { db } = make()
    await db.run(() =>
      db.transaction.begin(async () => {
        const { transaction } = db.current
        expect(transaction?.datasource).toBe('first')
        expect(await db.switchDb(async () => db.current.transaction?.id, { level: 0 })).toBe(transaction?.id)
        expect(await db.switchDbIsolate(async () => db.current.transaction)).toBeUndefined()
      }),
    )
  })

  it.each([
    ['deeper than the limit', 3, 'LEVEL_LIMIT'],
    ['negative', -1, 'LEVEL_INVALID'],
    ['a fraction', 0.5, 'LEVEL_INVALID'],
    ['no number', '1' as unknown as number, 'LEVEL_INVALID'],
    ['shallower than the current one', 0, 'LEVEL_ORDER'],
  ])('a level that is %s is refused', async (_what, level, expected) => {
    const { db } = make()
    const begun = db.run(() => db.switchDbIsolate(() => db.switchDb(async () => 'ran', { level })))
    await expect(begun).rejects.toEqual(code(expected))
  })

  it('the limit names the chain', async () => {
    const { db } = make({ levels: { max: 1 } })
    const begun = db.run(() => db.switchDbIsolate(() => db.switchDbIsolate(async () => 'ran')), { name: 'GET /x' })
    await expect(begun).rejects.toThrow('run GET /x (level 1)')
  })

  it('run starts at level 0 with a fresh context, whatever surrounds it', async () => {
    const { db } = make()
    await db.run(() =>
      db.switchDbIsolate(async () => {
        expect(await db.run(async () => [db.current.level, db.current.chain.length])).toEqual([0, 1])
      }),
    )
  })
})

describe('order', () => {
  it('datasources of one level are taken in declared order', async () => {
    const { db, second } = make()
    await db.run(() =>
      db.transaction.begin(() =>
        db.switchDb(() => db.transaction.begin(() => second.add('x')), { datasource: 'second' }),
      ),
    )
    expect(await db.run(() => second.read('x'))).toBe(1)
  })

  it('an earlier datasource is refused while a later one is held', async () => {
    const { db, first } = make()
    const begun = db.run(() =>
      db.transaction.begin(() => db.switchDb(() => first.add('x'), { datasource: 'first' }), { datasource: 'second' }),
    )
    await expect(begun).rejects.toEqual(code('LEVEL_ORDER'))
  })

  it('a statement on another datasource inside a transaction is refused unless switched to', async () => {
    const { db, second } = make()
    await expect(db.run(() => db.transaction.begin(() => second.add('x')))).rejects.toEqual(code('OTHER_DATASOURCE'))
  })

  it('two datasources over one store share a pool, so waiting for the other while holding one is refused', async () => {
    const store = new FakeStore()
    const one = new FakeDatasource({ name: 'one', store })
    const two = new FakeDatasource({ name: 'two', store })
    Object.assign(two, { key: one.key })
    const db = createDbContext({ datasources: [one, two] })
    expect(db.pools().filter(({ level }) => level === 0)).toEqual([expect.objectContaining({ datasource: 'one+two' })])
    const begun = db.run(() => db.transaction.begin(() => db.switchDb(() => two.add('x'), { datasource: 'two' })))
    await expect(begun).rejects.toEqual(code('HOLD_AND_WAIT'))
    await db.run(() => db.transaction.begin(() => db.switchDbIsolate(() => two.add('x'))))
  })

  it('a unit of work inside a transaction may not wait for what that transaction holds, but a deeper one may run', async () => {
    const { db, first } = make()
    const nested = db.run(() => db.transaction.begin(() => db.run(() => first.add('x'))))
    await expect(nested).rejects.toEqual(code('HOLD_AND_WAIT'))
    await db.run(() => db.transaction.begin(() => db.run(() => db.switchDbIsolate(() => first.add('x')))))
    expect(await db.run(() => first.read('x'))).toBe(1)
  })

  it('a handler holds its slot: a unit of work inside it may not wait for a shallower pool or the same lane', async () => {
    const { db, first } = make()
    const job = { name: 'j', id: 'j1', level: 1, chain: [], lane: { queue: 'j', level: 1 } }
    const inHandler = <T>(body: () => Promise<T>) => db.propagator.run(job, body)
    await expect(inHandler(() => db.run(() => first.add('x')))).rejects.toEqual(code('HOLD_AND_WAIT'))
    await expect(inHandler(() => db.run(async () => db.propagator.call('k').level))).rejects.toEqual(
      code('HOLD_AND_WAIT'),
    )
    expect(await inHandler(async () => db.propagator.call('k').level)).toBe(2)
    await inHandler(() => first.add('x'))
  })

  it('an open cursor that keeps its connection forbids waiting for the same pool, not for a deeper one', async () => {
    const { db, first } = make()
    await db.run(async () => {
      const cursor = await first.hold()
      await expect(first.add('x')).rejects.toEqual(code('HOLD_AND_WAIT'))
      await db.switchDbIsolate(() => first.add('x'))
      cursor.release()
      await first.add('x')
    })
    expect(await db.run(() => first.read('x'))).toBe(2)
  })

  it('a cursor that was made in an inner scope counts in the scope that reads it', async () => {
    const { db, first } = make()
    await db.run(async () => {
      const cursor = await db.switchDb(async () => first.cursor())
      const open = await cursor.hold()
      await expect(first.add('x')).rejects.toEqual(code('HOLD_AND_WAIT'))
      open.release()
      await first.add('x')
    })
  })

  it('background statements wait for nothing and are never behind a transaction', async () => {
    const { db, first } = make()
    expect(await db.run(() => db.transaction.begin(() => first.background(async () => 'done')))).toBe('done')
  })
})

describe('a unit of work', () => {
  it('is required', async () => {
    const { db, first } = make()
    expect(() => db.current).toThrow(code('CONTEXT_MISSING'))
    await expect(first.add('x')).rejects.toEqual(code('CONTEXT_MISSING'))
  })

  it('ends at its deadline and by its signal, and what it still tries is refused', async () => {
    const { db, first } = make()
    const gate = Promise.withResolvers<void>()
    const late = Promise.withResolvers<unknown>()
    const body = async () => {
      await gate.promise
      await first.add('x').then(late.resolve, late.reject)
    }
    await expect(db.run(body, { deadlineMs: 5 })).rejects.toEqual(code('DEADLINE_EXCEEDED'))
    gate.resolve()
    await expect(late.promise).rejects.toEqual(code('CONTEXT_ENDED'))
    const abort = new AbortController()
    const aborted = db.run(() => new Promise(() => {}), { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(aborted).rejects.toEqual(code('ABORTED'))
  })

  it('closes what a wait brought only after its end', async () => {
    const { db, first } = make()
    const closed = Promise.withResolvers<string>()
    const cursor = await db.run(async () => first.cursor())
    cursor.onEnd(async () => closed.resolve('closed'))
    expect(await closed.promise).toBe('closed')
  })

  it('waits no longer than the pool timeout', async () => {
    const { first } = make()
    Object.assign(first.pool, { timeoutMs: 10 })
    const db = createDbContext({ datasources: [first] })
    const gate = Promise.withResolvers<void>()
    const holder = db.run(() => first.occupy(() => gate.promise))
    await expect(db.run(() => first.add('x'))).rejects.toEqual(code('POOL_TIMEOUT'))
    gate.resolve()
    await holder
  })
})

describe('stop', () => {
  it('lets nothing new in, waits for what runs, and may be called twice and before start', async () => {
    const { db } = make()
    const gate = Promise.withResolvers<string>()
    const running = db.run(() => gate.promise)
    const stopped = Promise.all([db.stop(), db.stop()])
    await expect(db.run(async () => 'new')).rejects.toEqual(code('STOPPED'))
    gate.resolve('done')
    expect(await running).toBe('done')
    await stopped
    await make().db.stop()
  })

  it('is final: nothing is opened after it', async () => {
    const { db, first } = make()
    await db.stop()
    await expect(db.start()).rejects.toEqual(code('STOPPED'))
    await expect(first.background(async () => 'ran')).rejects.toEqual(code('STOPPED'))
  })

  it('aborts what is left at its deadline', async () => {
    const { db } = make()
    let signal: AbortSignal | undefined
    const running = db.run(() => {
      signal = db.current.signal
      return new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve()))
    })
    const ended = expect(running).rejects.toEqual(expect.objectContaining({ code: 'STOPPED', outcome: 'unknown' }))
    await db.stop({ deadlineMs: 5 })
    await ended
    expect(signal?.reason).toEqual(code('STOPPED'))
  })
})

describe('bounds', () => {
  it.each([
    ['deadlineMs of run', (db: Db) => db.run(async () => 'ran', { deadlineMs: Number.POSITIVE_INFINITY })],
    ['deadlineMs', (db: Db) => db.run(() => db.transaction.begin(async () => 'ran', { deadlineMs: Number.NaN }))],
    [
      'retries',
      (db: Db) => db.run(() => db.transaction.begin(async () => 'ran', { retries: Number.POSITIVE_INFINITY })),
    ],
  ])('%s has a limit itself', async (_what, begin) => {
    await expect(begin(make().db)).rejects.toEqual(code('CONFIG'))
  })
})

describe('options', () => {
  it.each([
    ['levels.max', { levels: { max: 0 } }],
    ['levels.max', { levels: { max: 1.5 } }],
    ['isolation', { isolation: 'some' as 'none' }],
    ['lockWaitMs', { lockWaitMs: 0 }],
    ['processes.kind', { processes: { kind: '', max: 2 } }],
    ['processes.max', { processes: { kind: 'worker', max: 0 } }],
    ['datasources', { datasources: [] }],
    ['datasources', { datasources: [new FakeDatasource(), new FakeDatasource()] }],
  ])('a wrong %s is named', (option, wrong) => {
    expect(() => make(wrong)).toThrow(
      expect.objectContaining({ code: 'CONFIG', message: expect.stringContaining(option) }),
    )
  })
})
