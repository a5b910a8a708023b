import {
  createTwoPhaseCommit,
  defineParticipant,
  type TransferDefinition,
  type TwoPhaseCommit,
  transferOf,
} from '@strata/consistency/two-phase-commit'
import type { DbContext } from '@strata/db-context'
import type { Collections } from './collections.ts'
import type { Logger } from './log.ts'
import { reporter } from './reporter.ts'

/** Money from one account to another, in two phases. */
export interface Transfers {
  readonly commits: TwoPhaseCommit
  readonly transfer: TransferDefinition
  /** What is settled of an account's balance, and what transfers under way have added or reserved. Undefined for no account. */
  balance(accountId: string): Promise<Balance | undefined>
}

export interface Balance {
  readonly balanceCents: number
  readonly pendingCents: number
}

/** Shorter than the default: a transfer whose process was killed is gone on with while its sender may still ask for it. */
const leaseMs = 3000

export function openTransfers(db: DbContext, { datasource, accounts }: Collections, log: Logger): Transfers {
  const participant = defineParticipant({ name: 'accounts', datasource, collection: accounts.collectionName })
  const transfer = transferOf({ accounts: participant, field: 'balanceCents' })
  const commits = createTwoPhaseCommit({
    db,
    datasource,
    definitions: [transfer],
    leaseMs,
    recoverEveryMs: 1000,
    report: reporter(log),
  })
  return {
    commits,
    transfer,
    balance: async accountId => {
      const account = await accounts.findOne({ _id: accountId })
      if (!account) return undefined
      const { balanceCents, pendingTransactions = [] } = account
      if (pendingTransactions.length === 0) return { balanceCents, pendingCents: 0 }
      const [read] = await commits.read(participant, [accountId])
      if (!read) return undefined
      return { balanceCents: Number(read.visible['balanceCents']), pendingCents: read.pending['balanceCents'] ?? 0 }
    },
  }
}
