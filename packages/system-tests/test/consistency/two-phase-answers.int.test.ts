import { createTwoPhaseCommit, defineParticipant, transferOf } from '@strata/consistency/two-phase-commit'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { type CommandFault, startCommandProxy } from '@strata/testkit'
import type { Document } from 'mongodb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage()
const stops: (() => Promise<void>)[] = []

beforeEach(async () => {
  await stage.plain('accounts').insertMany(['a', 'b', 'c'].map(_id => ({ _id, balance: 100 })))
})

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** One statement for one account. */
interface Sent {
  readonly account: string
  /** Whether the driver may send it a second time by itself. */
  readonly isRetryable: boolean
  readonly q: Document
  readonly u: Document
}

/** An engine that reaches the server by a proxy, which breaks the first `apply` of each account that `fault` names. */
async function broken(fault: CommandFault, accounts: readonly string[]) {
  const sent: Sent[] = []
  const proxy = await startCommandProxy(stage.url, ({ name, document }) => {
    if (name !== 'update') return undefined
    const { update, updates, txnNumber } = document()
    const [{ q, u }] = updates
    if (update !== 'accounts' || !u.$push?.pendingTransactions) return undefined
    const account: string = q._id.$eq
    const isFirst = accounts.includes(account) && !sent.some(each => each.account === account)
    sent.push({ account, isRetryable: txnNumber !== undefined, q, u })
    return isFirst ? fault : undefined
  })
  const store = mongoDatasource({ name: 'bank', url: proxy.url, database: stage.database })
  const db = createDbContext({ datasources: [store] })
  const participant = defineParticipant({ name: 'accounts', datasource: store, collection: 'accounts' })
  const transfer = transferOf({ accounts: participant, field: 'balance' })
  // So long that what comes late comes before its deadline.
  const commits = createTwoPhaseCommit({ db, datasource: store, definitions: [transfer], leaseMs: 60_000 })
  stops.push(
    () => proxy.stop(),
    () => db.stop({ deadlineMs: 2000 }),
    () => commits.stop(),
  )
  await commits.ensureIndexes()
  const run = async (from: string, to: string, amount: number) =>
    await commits.run(transfer, { input: { from, to, amount }, deadlineMs: 50_000 })
  return { run, sent }
}

const balances = async () => {
  const documents = await stage.plain('accounts').find().sort({ _id: 1 }).toArray()
  return documents.map(({ balance, pendingTransactions }) => [balance, pendingTransactions?.length ?? 0])
}

test('updates whose answers are lost are made once, and the transfer is done', async () => {
  const { run, sent } = await broken({ kind: 'cut-after' }, ['a', 'b'])
  expect(await run('a', 'b', 30)).toMatchObject({ state: 'done' })
  expect(await balances()).toEqual([
    [70, 0],
    [130, 0],
    [100, 0],
  ])
  for (const account of ['a', 'b']) {
    const [first, ...again] = sent.filter(each => each.account === account)
    expect(first?.isRetryable).toBe(false)
    expect(again.length).toBeGreaterThan(0)
  }
})

test('an update that comes when its transfer was refused is not made, though its tombstone may have been pruned since', async () => {
  const { run, sent } = await broken({ kind: 'cut-before' }, ['a'])
  expect(await run('a', 'b', 500)).toMatchObject({ state: 'canceled', cause: { code: 'TWO_PHASE_GUARD_FAILED' } })
  const [late] = sent
  if (late?.account !== 'a') throw new Error('The first update is not of account a')
  await stage.plain('accounts').updateOne({ _id: 'a' }, { $inc: { balance: 900 } })
  // Whatever writes to the account takes tombstones away that nothing can come after.
  expect(await run('a', 'c', 1)).toMatchObject({ state: 'done' })
  expect(await stage.plain('accounts').updateMany(late.q, late.u)).toMatchObject({ matchedCount: 0 })
  expect(await balances()).toEqual([
    [999, 0],
    [100, 0],
    [101, 0],
  ])
})
