import { createInbox, type InboxOptions } from '@strata/consistency/inbox'
import { gate } from '@strata/testkit'
import { expect, test } from 'vitest'
import { type PlaceOptions, useStage } from './stage.ts'

const stage = useStage()

async function start(options: Partial<InboxOptions> = {}, context: PlaceOptions = {}) {
  const { db, store } = stage.place(context)
  const inbox = createInbox({ db, datasource: store, ...options })
  await db.start()
  await inbox.ensureIndexes()
  const effects = store.collection<{ _id: string; n: number }>('effects')
  await store.service.createCollection('effects')
  let runs = 0
  const body = async (...given: unknown[]) => {
    runs += 1
    await effects.updateOne({ _id: 'one' }, { $inc: { n: 1 } }, { upsert: true })
    return given.length > 0 ? given[0] : 'done'
  }
  const handle = (key: string, run: () => Promise<unknown> = body) =>
    db.run(() => inbox.handle({ scope: 'test', key }, run))
  const state = async () => ({
    runs,
    effects: (await stage.outside.collection<{ _id: string; n: number }>('effects').findOne({ _id: 'one' }))?.n ?? 0,
  })
  const rows = stage.outside.collection<{ _id: string; v: number; at: Date; result?: unknown }>('strata.inbox')
  return { db, store, inbox, effects, body, handle, state, rows }
}

test.for<[string, unknown]>([
  ['an object', { id: 7, nested: [null, 'a', { b: true }] }],
  ['null', null],
  ['nothing', undefined],
  ['an empty text', ''],
])('a second delivery gets the result that was stored: %s', async ([, result]) => {
  const { handle, body, state } = await start()
  expect(await handle('a', () => body(result))).toEqual(result)
  expect(await handle('a')).toEqual(result)
  expect(await state()).toEqual({ runs: 1, effects: 1 })
})

test('messages of another key or another scope are other messages, however their names are put together', async () => {
  const { db, inbox, body, state } = await start()
  const pairs = [
    ['a b', 'c'],
    ['a', 'b c'],
    ['a%20b', 'c'],
    ['a', 'b%20c'],
    ['a', 'c'],
    ['x'.repeat(300), 'c'],
    ['x'.repeat(300), 'd'],
  ] as const
  for (const [scope, key] of pairs) await db.run(() => inbox.handle({ scope, key }, body))
  expect((await state()).runs).toBe(pairs.length)
})

test('a delivery that comes while the first runs ends at once, changes nothing, and gets the result afterwards', async () => {
  const { handle, body, state } = await start()
  const [begun, open] = [gate(), gate()]
  const first = handle('a', async () => {
    begun.open()
    await open.wait()
    return await body()
  })
  await begun.wait()
  expect(await handle('a').catch(error => error)).toMatchObject({
    code: 'MESSAGE_IN_PROGRESS',
    outcome: 'not-applied',
    transient: true,
    details: { message: 'test a' },
  })
  open.open()
  expect(await first).toBe('done')
  expect(await handle('a')).toBe('done')
  expect(await state()).toEqual({ runs: 1, effects: 1 })
})

test('without the inbox a unique key keeps the second waiting for lockWaitMs: the symptom', async () => {
  const { db, store, body } = await start({}, { lockWaitMs: 300 })
  const seen = store.collection<{ _id: string }>('seen')
  await store.service.createCollection('seen')
  const handle = (run: () => Promise<unknown>) =>
    db.run(() =>
      db.transaction.begin(async () => {
        await seen.insertOne({ _id: 'a' })
        return await run()
      }),
    )
  const [begun, open] = [gate(), gate()]
  const first = handle(async () => {
    begun.open()
    await open.wait()
  })
  await begun.wait()
  expect(await handle(body).catch(error => error)).toMatchObject({ code: 'LOCK_TIMEOUT' })
  open.open()
  await first
})

test('a handler that fails leaves no row and no effect, and the next delivery runs', async () => {
  const { handle, body, state, rows } = await start()
  const failing = async () => {
    await body()
    throw new Error('broken')
  }
  await expect(handle('a', failing)).rejects.toThrow('broken')
  expect([await rows.countDocuments(), await state()]).toEqual([0, { runs: 1, effects: 0 }])
  expect(await handle('a')).toBe('done')
  expect(await state()).toEqual({ runs: 2, effects: 1 })
})

test('a conflict of the handler itself is met by running it again, with the row', async () => {
  const { db, handle, body, effects, state } = await start()
  const [written, open] = [gate(), gate()]
  await db.run(body)
  const holder = db.run(() =>
    db.transaction.begin(async () => {
      await effects.updateOne({ _id: 'one' }, { $set: { n: 10 } })
      written.open()
      await open.wait()
    }),
  )
  await written.wait()
  let tries = 0
  const waiting = handle('a', () => {
    tries += 1
    if (tries > 2) open.open()
    return body()
  })
  expect(await waiting).toBe('done')
  await holder
  expect((await state()).effects).toBe(11)
})

test.for<[string, unknown]>([
  ['a date', { at: new Date(0) }],
  ['a function', () => {}],
  ['what is not a number', { n: Number.NaN }],
  ['a map', { map: new Map() }],
  ['a hole in a list', { list: [1, undefined] }],
  ['a big integer', { n: 1n }],
  ['too large', 'x'.repeat(2000)],
])('a result that cannot be kept (%s) rolls its run back', async ([, result]) => {
  const { handle, body, state, rows } = await start({ resultBytesMax: 1000 })
  const error = await handle('a', () => body(result)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'INBOX_RESULT_INVALID', outcome: 'not-applied', transient: false })
  expect([await rows.countDocuments(), (await state()).effects]).toEqual([0, 0])
})

test('a result that refers to itself rolls its run back', async () => {
  const { handle, body } = await start()
  const round: Record<string, unknown> = {}
  round['self'] = round
  await expect(handle('a', () => body(round))).rejects.toMatchObject({ code: 'INBOX_RESULT_INVALID' })
})

test.for([
  ['a newer version wrote', { v: 2, result: '1' }],
  ['nobody can read', { v: 1, result: '{' }],
  ['has a result of another type', { v: 1, result: 7 }],
  ['has no version that is a number', { v: 'one' }],
])('a row that %s is a typed error, and stays; the handler is not run', async ([, row]) => {
  const { handle, state, rows } = await start()
  const kept = { _id: 'test a', at: new Date(), ...(row as { v: number }) }
  await rows.insertOne(kept)
  await expect(handle('a')).rejects.toMatchObject({ code: 'INBOX_ROW_INVALID', outcome: 'unknown', transient: false })
  expect(await rows.findOne()).toEqual(kept)
  expect((await state()).runs).toBe(0)
})

test.for<[string, unknown]>([
  ['of 10 MB', 'k'.repeat(10_000_000)],
  ['that is empty', ''],
  ['that is no text', 7],
  ['that is not well-formed', '\ud800'],
])('a key %s is refused before anything is done', async ([, key]) => {
  const { handle, state, rows } = await start()
  const error = await handle(key as string).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'INBOX_KEY_INVALID', outcome: 'not-applied' })
  expect(String(error).length).toBeLessThan(300)
  expect([await rows.countDocuments(), (await state()).runs]).toEqual([0, 0])
})

test('the window is counted by the server’s clock, and ended by an index that follows the option', async () => {
  const { store, db, handle, rows } = await start()
  const before = await stage.outside.command({ hello: 1 })
  await handle('a')
  const row = await rows.findOne()
  expect(row?.at.getTime()).toBeGreaterThanOrEqual((before['localTime'] as Date).getTime())
  const expiry = async () => (await rows.indexes()).find(({ name }) => name === 'at_1')?.expireAfterSeconds
  expect(await expiry()).toBe(604_800)
  const shorter = createInbox({ db, datasource: store, windowMs: 60_000 })
  await shorter.ensureIndexes()
  await shorter.ensureIndexes()
  expect(await expiry()).toBe(60)
})

test('what the handler begins joins the transaction of the row, on the terms that it was wrapped with', async () => {
  const { db, inbox, body, state } = await start()
  const joined = () => db.transaction.begin(() => body(), { deadlineMs: 20_000 })
  const run = (deadlineMs: number) =>
    db.run(() => inbox.handle({ scope: 'test', key: 'a' }, joined, { deadlineMs, name: 'order' }))
  await expect(run(30_000)).rejects.toMatchObject({ code: 'CONFIG' })
  expect(await run(20_000)).toBe('done')
  expect(await state()).toEqual({ runs: 1, effects: 1 })
})

test('a message handled again by work that its own handler awaits is told as a lock of its ancestor', async () => {
  const { db, inbox, handle, body } = await start()
  const again = () => db.switchDbIsolate(() => inbox.handle({ scope: 'test', key: 'a' }, body))
  const error = await handle('a', again).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'ANCESTOR_LOCK', details: { certain: true } })
  expect(stage.reports).toEqual([])
})
