import { randomUUID } from 'node:crypto'
import type { TransactionState, Transfer, TwoPhaseTransaction } from '@strata/consistency/two-phase-commit'
import { hasCode } from '@strata/db-context'
import { accountNotFound, schoolError } from '@strata/school'
import type { Once } from './idempotency-key.ts'
import type { Services } from './services.ts'

export interface TransferInput {
  readonly id?: string | undefined
  readonly from: string
  readonly to: string
  readonly amountCents: number
}

/** A transfer as it is told of. */
export interface ToldTransfer {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly amountCents: number
  readonly state: TransactionState
  /** The transfer that it takes back. */
  readonly reverseOf?: string
}

/** How long a request waits for the end of its transfer, at most; it goes on after it, here or in a worker. */
const waitMs = ({ callTimeoutMs }: Services): number => Math.min(callTimeoutMs, 10_000)

/**
 * Moves money. With a key the transfer has an id that follows from it, so that whoever repeats the request finds it, also after a crash.
 *
 * @throws INSUFFICIENT_FUNDS, ACCOUNT_NOT_FOUND, TRANSFER_CANCELED, TRANSFER_ID_REUSED, and what the engine throws
 */
export function transferMoney(services: Services, { id: given, from, to, amountCents }: TransferInput, once: Once) {
  const { db, transfers } = services.school
  return once(
    () => {
      const id = given ?? db.current.transaction?.id ?? randomUUID()
      const input = { from, to, amount: amountCents }
      return outside(services, () =>
        transfers.commits.run(transfers.transfer, { id, input, deadlineMs: waitMs(services) }),
      )
    },
    terms('transfer', services),
  )
}

/** @throws TRANSFER_NOT_FOUND, TRANSFER_NOT_DONE, INSUFFICIENT_FUNDS */
export const reverseTransfer = (services: Services, id: string, once: Once) =>
  once(
    () => outside(services, () => services.school.transfers.commits.reverse(id, { deadlineMs: waitMs(services) })),
    terms('transfer.reverse', services),
  )

/** @throws TRANSFER_NOT_FOUND, TRANSFER_IN_FORCE */
export const cancelTransfer = (services: Services, id: string, once: Once) =>
  once(
    async () => {
      const { commits } = services.school.transfers
      const { db } = services.school
      const canceled = () => commits.cancel(id, { deadlineMs: waitMs(services) })
      return tell(await db.transaction.begin(canceled, plain).catch(rename))
    },
    terms('transfer.cancel', services),
  )

/** @throws TRANSFER_NOT_FOUND */
export async function findTransfer({ school }: Services, id: string): Promise<ToldTransfer> {
  const found = await school.transfers.commits.get(id).catch(rename)
  if (!found) throw schoolError('TRANSFER_NOT_FOUND', `No transfer has the id ${id}`, { details: { id } })
  return tell(found)
}

export async function listTransfers(
  { school }: Services,
  state: TransactionState | undefined,
): Promise<ToldTransfer[]> {
  return (await school.transfers.commits.list({ ...(state && { state }), limit: 100 })).map(tell)
}

const terms = (name: string, services: Services) => ({ name, deadlineMs: waitMs(services) + 5000 })

/** The key's record is in a transaction, and a transfer in none: it would not be rolled back with one. */
const plain = { propagation: 'not-supported' } as const

async function outside({ school }: Services, run: () => Promise<TwoPhaseTransaction>): Promise<ToldTransfer> {
  const ended = await school.db.transaction.begin(run, plain).catch(rename)
  if (ended.outcome === 'not-applied') throw refusal(ended)
  return tell(ended)
}

function tell({ id, input, state, reverseOf }: TwoPhaseTransaction): ToldTransfer {
  const { from, to, amount } = input as Transfer
  if (reverseOf === undefined) return { id, from, to, amountCents: amount, state }
  return { id, from: to, to: from, amountCents: amount, state, reverseOf }
}

/** Why a transfer was canceled, with its id. */
function refusal(canceled: TwoPhaseTransaction): Error {
  const { id, cause } = canceled
  const { from, amountCents } = tell(canceled)
  if (cause?.code === 'TWO_PHASE_GUARD_FAILED') {
    const text = `Transfer ${id} was canceled: account ${from} holds less than ${amountCents} cents, but for what is pending`
    return schoolError('INSUFFICIENT_FUNDS', text, { details: { id, accountId: from } })
  }
  if (cause?.code === 'TWO_PHASE_PARTICIPANT_MISSING') return accountNotFound(String(cause.documentId))
  const text = `Transfer ${id} was canceled, nothing was moved: ${cause?.message ?? 'somebody has canceled it'}`
  return schoolError('TRANSFER_CANCELED', text, { transient: cause?.transient === true, details: { id } })
}

const names = {
  TWO_PHASE_ID_REUSED: 'TRANSFER_ID_REUSED',
  TWO_PHASE_NOT_DONE: 'TRANSFER_NOT_DONE',
  TWO_PHASE_NOT_FOUND: 'TRANSFER_NOT_FOUND',
  TWO_PHASE_TOO_LATE: 'TRANSFER_IN_FORCE',
} as const

/** What the engine refuses, in the words of the school. */
function rename(cause: unknown): never {
  for (const [code, name] of Object.entries(names)) {
    if (hasCode(cause, code)) throw schoolError(name, (cause as Error).message, { cause })
  }
  throw cause
}
