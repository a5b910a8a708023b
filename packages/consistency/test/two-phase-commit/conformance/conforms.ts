import { hasCode } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'
import { expect, test } from 'vitest'
import { createEngine } from '../../../src/two-phase-commit/engine.ts'
import { facadeOf } from '../../../src/two-phase-commit/facade.ts'
import { type Participant, protocol, transferOf } from '../../../src/two-phase-commit/index.ts'
import type { Store } from '../../../src/two-phase-commit/port.ts'
import type { Bounds } from '../../../src/two-phase-commit/settings.ts'
import { stepStatement } from '../../../src/two-phase-commit/step-statement.ts'

/** What a store is tried with. */
export interface Bench {
  readonly store: Store
  readonly datasource: MongoDatasource
  /** Runs as soon as the server's clock shows so many milliseconds more. */
  later(ms: number): Promise<void>
}

const outsideAnyContext = { current: { transaction: undefined } } as never

/** Behaviour that any store has to give the protocol. `bench` gives an empty one. */
export function conforms(bench: () => Promise<Bench>): void {
  async function open(bounds: Partial<Bounds> = {}) {
    const { store, datasource, later } = await bench()
    const accounts: Participant = { name: 'accounts', datasource, collection: 'accounts' }
    const transfer = transferOf({ accounts, field: 'balance', guard: { state: 'open' } })
    const engine = createEngine({ store, definitions: [transfer], clockSkewMs: 0, ...bounds })
    const commits = facadeOf({
      engine,
      db: outsideAnyContext,
      definitions: [transfer],
      recoverEveryMs: 1000,
      report: () => {},
    })
    const documents = store.participant(accounts)
    for (const [_id, balance] of [
      ['A', 100],
      ['B', 50],
    ]) {
      await documents.insert({ _id, balance, state: 'open' })
    }
    const balances = async () => {
      const found = await documents.aggregate([{ $sort: { _id: 1 } }])
      return found.map(({ balance }) => balance)
    }
    return { commits, engine, transfer, accounts, documents, balances, later }
  }

  const move = (amount: number, from = 'A', to = 'B') => ({ from, to, amount })
  const codeOf = async (work: Promise<unknown>) =>
    await work.then(
      () => 'none',
      error => error.code,
    )

  test('a transfer is made once, whoever asks for it how often', async () => {
    const { commits, transfer, balances } = await open()
    const runs = Array.from({ length: 5 }, () => commits.run(transfer, { id: 't', input: move(30) }))
    for (const { state, outcome } of await Promise.all(runs)) expect([state, outcome]).toEqual(['done', 'applied'])
    expect(await balances()).toEqual([70, 80])
    expect(await codeOf(commits.run(transfer, { id: 't', input: move(31) }))).toBe('TWO_PHASE_ID_REUSED')
    const told = await commits.get('t')
    expect(told).toMatchObject({ id: 't', definition: 'transfer', input: move(30), state: 'done' })
    expect(told?.createdAt.getTime()).toBeGreaterThan(0)
    expect(await commits.list()).toEqual([told])
    expect(await commits.list({ state: 'done', olderThanMs: 60_000 })).toEqual([])
  })

  test('each participant has a tombstone and no entry once it has ended', async () => {
    const { commits, transfer, documents } = await open()
    await commits.run(transfer, { id: 't', input: move(30) })
    for (const document of await documents.aggregate([])) {
      expect(document).toMatchObject({ pendingTransactions: [], settledTransactions: [{ id: 't', outcome: 'done' }] })
    }
  })

  test.each([
    ['more than there is', move(101), 'TWO_PHASE_GUARD_FAILED', 'canceled'],
    ['from nobody', move(1, 'Z'), 'TWO_PHASE_PARTICIPANT_MISSING', 'canceling'],
    ['to nobody', move(1, 'A', 'Z'), 'TWO_PHASE_PARTICIPANT_MISSING', 'canceling'],
  ])('a transfer of %s is canceled, and says why', async (_, input, code, state) => {
    const { commits, transfer, balances, later } = await open({ leaseMs: 1000 })
    const told = await commits.run(transfer, { id: 't', input })
    expect(told).toMatchObject({ state, outcome: 'not-applied', cause: { code } })
    expect(await balances()).toEqual([100, 50])
    // A document that comes into being now could still meet a write that is under way.
    await later(1200)
    await commits.recover()
    expect((await commits.get('t'))?.state).toBe('canceled')
    expect(await commits.recover()).toMatchObject({ taken: 0, faulty: [] })
  })

  test.each([
    move(0),
    move(-1),
    move(0.5),
    move(Number.NaN),
    move(2 ** 53),
    move(1, 'A', 'A'),
    move(1, ''),
    { from: 'A' },
    null,
  ])('%j is refused, and leaves nothing', async input => {
    const { commits, transfer } = await open()
    expect(await codeOf(commits.run(transfer, { id: 't', input: input as never }))).toBe('TWO_PHASE_INPUT_INVALID')
    expect(await commits.get('t')).toBeUndefined()
  })

  test('the id of a reverse cannot be taken by another, and a long id can be reversed', async () => {
    const { commits, transfer } = await open()
    const id = 'x'.repeat(200)
    expect(await codeOf(commits.run(transfer, { id: 't:reverse', input: move(1) }))).toBe('TWO_PHASE_ID_INVALID')
    expect(await codeOf(commits.run(transfer, { id: `${id}x`, input: move(1) }))).toBe('TWO_PHASE_ID_INVALID')
    await commits.run(transfer, { id, input: move(1) })
    expect(await commits.reverse(id)).toMatchObject({ state: 'done', reverseOf: id })
    expect(await commits.reverse(`${id}:reverse`)).toMatchObject({ id: `${id}:reverse:reverse`, state: 'done' })
    expect(await commits.get(`${id}:reverse:reverse`)).toMatchObject({ state: 'done' })
  })

  test('an engine that is stopped begins nothing, and cancels nothing', async () => {
    const { commits, transfer } = await open()
    await commits.submit(transfer, { id: 't', input: move(1) })
    await commits.stop()
    expect(await codeOf(commits.run(transfer, { id: 'u', input: move(1) }))).toBe('STOPPED')
    expect(await codeOf(commits.cancel('t'))).toBe('STOPPED')
    expect(await commits.list()).toMatchObject([{ id: 't', state: 'initial' }])
  })

  test('a transfer that was submitted is run by recovery, or canceled before', async () => {
    const { commits, transfer, balances } = await open()
    const one = await commits.submit(transfer, { id: 'one', input: move(1) })
    expect([one.state, one.createdAt.getTime() > 0]).toEqual(['initial', true])
    expect(await commits.submit(transfer, { id: 'two', input: move(2) })).toMatchObject({ outcome: 'unknown' })
    expect(await commits.cancel('two')).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_CANCELED' } })
    expect(await commits.recover()).toMatchObject({ taken: 1, done: 1, canceled: 0 })
    expect(await balances()).toEqual([99, 51])
    expect(await commits.cancel('two')).toMatchObject({ state: 'canceled' })
  })

  test('what is in force is not canceled but reversed, once', async () => {
    const { commits, transfer, balances } = await open()
    await commits.run(transfer, { id: 't', input: move(30) })
    const error = await commits.cancel('t').catch((thrown: unknown) => thrown)
    expect(hasCode(error, 'TWO_PHASE_TOO_LATE') && error.outcome).toBe('applied')
    const [one, two] = await Promise.all([commits.reverse('t'), commits.reverse('t')])
    expect([one, two]).toMatchObject([{ id: 't:reverse', state: 'done', reverseOf: 't' }, { state: 'done' }])
    expect(await balances()).toEqual([100, 50])
    expect(await codeOf(commits.reverse('nothing'))).toBe('TWO_PHASE_NOT_FOUND')
  })

  test('a reverse is guarded by what its destination still has', async () => {
    const { commits, transfer, balances } = await open()
    await commits.run(transfer, { id: 't', input: move(100) })
    await commits.run(transfer, { id: 'u', input: move(120, 'B', 'A') })
    expect(await commits.reverse('t')).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_GUARD_FAILED' } })
    expect(await codeOf(commits.reverse('t:reverse'))).toBe('TWO_PHASE_NOT_DONE')
    expect(await balances()).toEqual([120, 30])
  })

  test('what is credited and not in force is neither seen nor spent', async () => {
    const { commits, engine, transfer, accounts, documents } = await open()
    const parts = transfer.participants(move(50)).map(part => ({ guard: {}, reverseGuard: {}, ...part }))
    for (const part of parts) await documents.update(...apply(engine, part))
    expect(await commits.read(accounts, ['A', 'B', 'Z'])).toEqual([
      expect.objectContaining({
        id: 'A',
        visible: expect.objectContaining({ balance: 100 }),
        pending: { balance: -50 },
      }),
      expect.objectContaining({ id: 'B', visible: expect.objectContaining({ balance: 50 }), pending: { balance: 50 } }),
    ])
    expect(await commits.run(transfer, { input: move(51, 'B', 'A') })).toMatchObject({ state: 'canceled' })
    expect(await commits.run(transfer, { input: move(50, 'B', 'A') })).toMatchObject({ state: 'done' })
  })

  function apply(engine: { entriesMax: number }, part: object): [never, never] {
    const at = {
      id: 'other',
      key: 'other.0',
      part,
      deadline: new Date(8e15),
      tombstoneUntil: new Date(0),
      applyUntil: new Date(0),
      pruneUntil: undefined,
    }
    const { filter, update } = stepStatement(protocol.steps.apply, {
      ...at,
      entriesMax: engine.entriesMax,
      clockSkewMs: 0,
    } as never)
    return [filter as never, update as never]
  }

  test('a document with too many entries takes no more for the moment', async () => {
    const { commits, engine, transfer, documents } = await open({ entriesMax: 1 })
    const [part] = transfer.participants(move(1)).map(each => ({ guard: {}, reverseGuard: {}, ...each }))
    await documents.update(...apply(engine, part ?? {}))
    expect(await commits.run(transfer, { input: move(1) })).toMatchObject({
      state: 'canceled',
      cause: { code: 'TWO_PHASE_CROWDED', transient: true },
    })
  })

  test('a document that vanished before it could be reversed stops its transaction alone', async () => {
    const { commits, engine, transfer, balances, documents } = await open()
    await commits.submit(transfer, { id: 'lost', input: move(10, 'A', 'gone') })
    await commits.submit(transfer, { id: 'other', input: move(10) })
    // As after a crash: another had begun it, and nobody knows whether its document was there.
    await engine.store.records.change({ _id: 'lost' }, [
      { $set: { state: 'canceling', token: 1, applyUntil: '$$NOW' } },
    ])
    const { done, faulty } = await commits.recover()
    expect([done, faulty]).toMatchObject([1, [{ id: 'lost', cause: { code: 'TWO_PHASE_PARTICIPANT_VANISHED' } }]])
    expect(await commits.list({ stuck: true })).toMatchObject([{ id: 'lost', state: 'canceling' }])
    expect(await codeOf(commits.resolve('lost', { as: 'done', by: 'me' }))).toBe('TWO_PHASE_NOT_STUCK')
    expect(await commits.resolve('lost', { as: 'canceled', by: 'me' })).toMatchObject({
      state: 'canceled',
      resolved: { by: 'me' },
    })
    expect(await balances()).toEqual([90, 60])
    expect(await documents.aggregate([{ $match: { 'pendingTransactions.id': 'lost' } }])).toEqual([])
    expect(await codeOf(commits.resolve('other', { as: 'done', by: 'me' }))).toBe('TWO_PHASE_NOT_STUCK')
  })

  test.each([
    ['of a newer version', { v: 2 }, 'TWO_PHASE_RECORD_INVALID'],
    ['in an unknown state', { state: 'strange' }, 'TWO_PHASE_RECORD_INVALID'],
    ['whose parts cannot be decoded', { parts: ['?'] }, 'TWO_PHASE_RECORD_INVALID'],
    ['of an unknown definition', { definition: 'other' }, 'TWO_PHASE_DEFINITION_UNKNOWN'],
  ])('a record %s is told of, and keeps nobody', async (_, change, code) => {
    const { commits, engine, transfer, balances } = await open()
    await commits.submit(transfer, { id: 'bad', input: move(10) })
    await commits.submit(transfer, { id: 'good', input: move(10) })
    await engine.store.records.change({ _id: 'bad' }, [{ $set: change }])
    for (const taken of [1, 0]) {
      expect(await commits.recover()).toMatchObject({ done: taken, faulty: [{ id: 'bad', cause: { code } }] })
    }
    const isUnreadable = code === 'TWO_PHASE_RECORD_INVALID' && !('parts' in change)
    expect(await commits.list({ state: 'unreadable' })).toMatchObject(isUnreadable ? [{ id: 'bad' }] : [])
    expect(await balances()).toEqual([90, 60])
  })

  test('recovery takes turns: what is stuck does not fill its batches', async () => {
    const { commits, engine, transfer } = await open()
    for (const id of ['a', 'b', 'c']) await commits.submit(transfer, { id, input: move(1, 'A', 'gone') })
    await engine.store.records.change({ _id: 'a' }, [{ $set: { state: 'canceling', applyUntil: '$$NOW' } }])
    await engine.store.records.change({ _id: 'b' }, [{ $set: { state: 'canceling', applyUntil: '$$NOW' } }])
    await commits.recover({ limit: 2 })
    await commits.recover({ limit: 2 })
    expect((await commits.get('c'))?.outcome).toBe('not-applied')
  })

  test('another takes over when a claim has run out, and the older one is refused', async () => {
    const { commits, engine, transfer, balances, later } = await open({ leaseMs: 200 })
    await commits.submit(transfer, { id: 't', input: move(10) })
    const claim = { state: 'pending', token: 1, owner: 'gone', until: { $add: ['$$NOW', 200] } }
    await engine.store.records.change({ _id: 't' }, [{ $set: { ...claim, applyUntil: claim.until } }])
    expect(await commits.recover()).toMatchObject({ taken: 0 })
    await later(250)
    expect(await commits.recover()).toMatchObject({ taken: 1, done: 1 })
    expect(await balances()).toEqual([90, 60])
  })

  test('what the server refuses is canceled', async () => {
    const { commits, transfer, documents, balances } = await open()
    await documents.insert({ _id: 'C', balance: 'much', state: 'open' })
    const told = await commits.run(transfer, { input: move(1, 'A', 'C') })
    expect(told).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_STEP_REFUSED' } })
    expect(await balances()).toEqual([100, 50, 'much'])
  })
}
