import type { Stage } from '../../process/stage.ts'
import { type Account, type Ledger, moving } from './ledger.ts'
import type { PlannedTransfer } from './plan.ts'

interface Transfer {
  readonly _id: string
  readonly state: 'done' | 'canceled'
}

class Insufficient extends Error {}

/** Each transfer in one MongoDB transaction: what a killed process leaves open the server undoes, and another begins it again. */
export function transactionLedger({ db, datasource, rawClient, raw, limits }: Stage): Ledger {
  const accounts = datasource.collection<Account>('accounts')
  const transfers = datasource.collection<Transfer>('transfers')
  const outside = rawClient.db(raw.dbName)
  const options = { deadlineMs: limits.transactionMs, name: 'transfer' }

  const move = ({ id, from, to, amountCents }: PlannedTransfer) =>
    db.transaction.begin(async () => {
      await transfers.insertOne({ _id: id, state: 'done' })
      const enough = { _id: from, balanceCents: { $gte: amountCents } }
      const { matchedCount } = await accounts.updateOne(enough, moving(id, -amountCents))
      if (matchedCount === 0) throw new Insufficient()
      await accounts.updateOne({ _id: to }, moving(id, amountCents))
    }, options)

  const idsIn = async (filter: object) => {
    const found = await outside
      .collection<Transfer>('transfers')
      .find(filter, { projection: { _id: 1 } })
      .toArray()
    return found.map(({ _id }) => _id)
  }

  return {
    prepare: async initial => {
      await outside.createCollection('transfers')
      await outside.collection<Account>('accounts').insertMany([...initial])
    },
    start: () => {},
    begun: async () => new Set(await idsIn({})),
    transfer: async transfer => {
      try {
        await move(transfer)
      } catch (error) {
        if (isMade(error)) return
        if (!(error instanceof Insufficient)) throw error
        await transfers.insertOne({ _id: transfer.id, state: 'canceled' })
      }
    },
    ended: () => idsIn({}),
    snapshot: async ids => {
      await using session = rawClient.startSession({ snapshot: true })
      const found = await outside
        .collection<Account>('accounts')
        .find({ _id: { $in: [...ids] } }, { session, projection: { balanceCents: 1 } })
        .toArray()
      const balances = found.map(({ balanceCents }) => balanceCents)
      return { totalCents: balances.reduce((sum, cents) => sum + cents, 0), lowestCents: Math.min(...balances) }
    },
    recover: async () => {},
    standing: async () => ({
      inDoubt: (await idsIn({ state: { $nin: ['done', 'canceled'] } })).length,
      // Nobody takes over a transaction: the server has undone it, and it is begun again.
      recovered: 0,
      done: new Set(await idsIn({ state: 'done' })),
    }),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** Its first coordinator had committed it before it was killed. */
const isMade = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 11_000
