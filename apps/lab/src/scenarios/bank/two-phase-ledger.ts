import { atLeast, createTwoPhaseCommit, defineParticipant, defineTwoPhase } from '@strata/consistency/two-phase-commit'
import { hasCode } from '@strata/db-context'
import { z } from 'zod'
import type { Stage } from '../../process/stage.ts'
import { type Account, type Ledger, moving, unmoving } from './ledger.ts'

const records = 'strata.transactions'

/** Shorter than the product's, so that a run is: until another takes over from a coordinator that is gone. */
const pace = { leaseMs: 2000, recoverEveryMs: 250 } as const

const input = z.object({ id: z.string(), from: z.string(), to: z.string(), amountCents: z.number() })

/** Each transfer in two phases: what a killed process leaves others go on with. */
export function twoPhaseLedger({ db, datasource, rawClient, raw, limits }: Stage): Ledger {
  const accounts = defineParticipant({ name: 'accounts', datasource, collection: 'accounts' })
  const transfer = defineTwoPhase({
    name: 'transfer',
    input,
    uses: [accounts],
    participants: ({ id, from, to, amountCents }) => {
      const part = (cents: number) => ({ apply: moving(id, cents), reverse: unmoving(id, cents) })
      return [
        { participant: accounts, id: from, guard: atLeast('balanceCents', amountCents), ...part(-amountCents) },
        { participant: accounts, id: to, ...part(amountCents) },
      ]
    },
  })
  const commits = createTwoPhaseCommit({ db, datasource, definitions: [transfer], ...pace })
  const outside = rawClient.db(raw.dbName)
  const idsIn = async (states: readonly string[]) => {
    const filter = { state: { $in: [...states] } }
    const found = await outside
      .collection<{ _id: string }>(records)
      .find(filter, { projection: { _id: 1 } })
      .toArray()
    return found.map(({ _id }) => _id)
  }
  return {
    prepare: async initial => {
      await outside.collection<Account>('accounts').insertMany([...initial])
      await commits.ensureIndexes()
    },
    start: () => commits.start(),
    begun: async () => new Set(await idsIn(['pending', 'applied', 'done', 'canceling', 'canceled'])),
    transfer: async planned => {
      const options = { id: planned.id, input: planned, deadlineMs: limits.waitMs }
      await commits.run(transfer, options).catch(async (error: unknown) => {
        // On a busy machine. What has begun goes on without whoever asked for it.
        const isLeft = hasCode(error, 'TWO_PHASE_INTERRUPTED') && (await commits.get(planned.id)) !== undefined
        if (!isLeft) throw error
      })
    },
    ended: () => idsIn(['done', 'canceled']),
    snapshot: async ids => {
      const found = await commits.read(accounts, ids)
      const balances = found.map(({ visible }) => Number(visible['balanceCents']))
      return { totalCents: balances.reduce((sum, cents) => sum + cents, 0), lowestCents: Math.min(...balances) }
    },
    recover: async () => void (await commits.recover({ limit: 1000 })),
    standing: async () => ({
      inDoubt: (await idsIn(['initial', 'pending', 'applied', 'canceling'])).length,
      recovered: await outside.collection(records).countDocuments({ token: { $gt: 1 } }),
      done: new Set(await idsIn(['done'])),
    }),
    [Symbol.asyncDispose]: () => commits.stop(),
  }
}
