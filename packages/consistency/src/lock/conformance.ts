import assert from 'node:assert/strict'
import { type Claim, type LockStore, placeMs } from './store.ts'

/** A store to be tried, and how its clock is moved. */
export interface TriedStore {
  readonly store: LockStore
  /** Lets time pass for every lease and place; negative sets the clock back. */
  advance(ms: number): Promise<void>
  /** Takes all records away, as somebody who drops the collection does. */
  drop(): Promise<void>
}

/** What a store of locks has to satisfy, by name; for any test runner. Each case wants a store with nothing in it. */
export const lockStoreCases: Readonly<Record<string, (tried: TriedStore) => Promise<void>>> = {
  'a free key is granted, and to nobody else until it is released': async ({ store }) => {
    const first = await granted(store, 'a', 'one')
    assert.equal((await store.attempt('a', claim('two'))).token, undefined)
    assert.equal(await store.release(['a'], 'one'), 1)
    assert.ok((await granted(store, 'a', 'two')) > first)
  },
  'what is free and waited for by nobody can be had by the short way, and nothing else': async ({ store, advance }) => {
    await granted(store, 'a', 'one')
    assert.equal(await store.takeFree('a', claim('two')), undefined)
    await store.release(['a'], 'one')
    const second = (await store.takeFree('a', claim('two'))) ?? 0
    await store.attempt('a', waiting('three'))
    await store.release(['a'], 'two')
    assert.equal(await store.takeFree('a', claim('four')), undefined)
    await advance(placeMs)
    assert.ok((await granted(store, 'a', 'four')) > second)
  },
  'a grant that is asked for again is the same one': async ({ store }) => {
    assert.equal(await granted(store, 'a', 'one'), await granted(store, 'a', 'one'))
  },
  'a lease that is over is granted to another, with a larger token, and can no longer be renewed or released': async ({
    store,
    advance,
  }) => {
    const first = await granted(store, 'a', 'one')
    await advance(ttlMs)
    assert.ok((await granted(store, 'a', 'two')) > first)
    assert.equal(await store.renew(['a'], claim('one')), 0)
    assert.equal(await store.release(['a'], 'one'), 0)
    assert.equal((await store.read('a'))?.holder?.owner, 'owner of two')
  },
  'a lease that is renewed lasts its whole time again': async ({ store, advance }) => {
    await granted(store, 'a', 'one')
    await granted(store, 'b', 'one')
    await advance(ttlMs - 1000)
    assert.equal(await store.renew(['a', 'b', 'c'], claim('one')), 2)
    await advance(ttlMs - 1000)
    assert.equal((await store.attempt('b', claim('two'))).token, undefined)
  },
  'whoever waits is granted in order, before whoever does not': async ({ store }) => {
    await granted(store, 'a', 'one')
    assert.deepEqual(await store.attempt('a', waiting('two')), { token: undefined, before: 0 })
    assert.deepEqual(await store.attempt('a', waiting('three')), { token: undefined, before: 1 })
    assert.deepEqual(await store.attempt('a', claim('four')), { token: undefined, before: undefined })
    await store.release(['a'], 'one')
    assert.equal((await store.attempt('a', claim('four'))).token, undefined)
    assert.equal((await store.attempt('a', waiting('three'))).token, undefined)
    const second = await granted(store, 'a', 'two')
    await store.release(['a'], 'two')
    assert.ok((await granted(store, 'a', 'three')) > second)
    assert.equal((await store.read('a'))?.waiting, 0)
  },
  'a place that is given up, or not asked for in its time, holds nobody up': async ({ store, advance }) => {
    await granted(store, 'a', 'one')
    for (const id of ['two', 'three', 'four']) await store.attempt('a', waiting(id))
    await store.leave('a', 'two')
    await advance(placeMs * 0.75)
    await store.attempt('a', waiting('four'))
    await advance(placeMs * 0.75)
    await store.release(['a'], 'one')
    await granted(store, 'a', 'four')
  },
  'a clock that is set back keeps nobody longer than a lease lasts, and lets nobody in before': async ({
    store,
    advance,
  }) => {
    await granted(store, 'a', 'one')
    await advance(-3_600_000)
    assert.equal((await store.attempt('a', claim('two'))).token, undefined)
    await advance(ttlMs)
    await granted(store, 'a', 'two')
  },
  'tokens go on growing when the records are gone': async ({ store, drop }) => {
    const first = await granted(store, 'a', 'one')
    await drop()
    assert.equal(await store.renew(['a'], claim('one')), 0)
    assert.ok((await granted(store, 'a', 'two')) > first)
  },
  'who holds a key is told with its age': async ({ store, advance }) => {
    await granted(store, 'b', 'one')
    await advance(1000)
    await granted(store, 'a', 'two')
    await advance(1000)
    const [oldest, other, ...none] = await store.held(10)
    assert.deepEqual([oldest?.key, other?.key, none], ['b', 'a', []])
    const { ageMs = 0, leftMs = 0 } = oldest?.holder ?? {}
    assert.ok(ageMs >= 2000 && ageMs < ttlMs && leftMs > 0 && leftMs <= ttlMs - 2000)
    await store.release(['b'], 'one')
    assert.equal((await store.read('b'))?.holder, undefined)
    assert.equal(await store.read('c'), undefined)
  },
}

/** Longer than a case takes on a busy machine. */
const ttlMs = 60_000

const claim = (id: string): Claim => ({ id, owner: `owner of ${id}`, ttlMs, waits: false })
const waiting = (id: string): Claim => ({ ...claim(id), waits: true })

async function granted(store: LockStore, key: string, id: string): Promise<number> {
  const { token } = await store.attempt(key, claim(id))
  assert.ok(token !== undefined, `${key} was not granted to ${id}`)
  return token
}
