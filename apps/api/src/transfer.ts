import { createHash, randomUUID } from 'node:crypto'
import type { TransactionState, Transfer, TwoPhaseTransaction } from '@strata/consistency/two-phase-commit'
import { hasCode, StrataError } from '@strata/db-context'
import { accountNotFound, schoolError, schoolRefusals } from '@strata/school'
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

/** For what comes before and after the wait. */
const besideMs = 5000

/**
 * Moves money. With a key the transfer has an id that follows from it and from when it was first used, so that whoever repeats the
 * request finds it, however the first one has ended.
 *
 * @throws INSUFFICIENT_FUNDS, ACCOUNT_NOT_FOUND, TRANSFER_CANCELED, TRANSFER_ID_REUSED (all `not-applied`), TRANSFER_IN_DOUBT (`unknown`), and
 * what is thrown before the engine is asked
 */
export async function transferMoney(services: Services, asked: TransferInput, { once, key }: Asking) {
  const { db, transfers } = services.school
  const { from, to, amountCents: amount } = asked
  // Under the same key or id it would be the same transfer again, and one that is canceled stays so.
  const isFresh = asked.id === undefined && key === undefined
  let begun: string | undefined
  const move = async () => {
    const id = asked.id ?? idOfKey(key, db.current.transaction?.now)
    begun = id
    const options = { id, input: { from, to, amount }, deadlineMs: waitMs(services) }
    return settled(await outside(services, () => transfers.commits.run(transfers.transfer, options)), isFresh)
  }
  try {
    return await once(move, terms('transfer', services))
  } catch (error) {
    throw begun === undefined ? error : inDoubt(error, begun)
  }
}

/** How often the body of a request is run, and by what key it is known again. */
export interface Asking {
  readonly once: Once
  readonly key: string | undefined
}

/** @throws TRANSFER_NOT_FOUND, TRANSFER_NOT_DONE, INSUFFICIENT_FUNDS, ACCOUNT_NOT_FOUND, TRANSFER_IN_DOUBT */
export async function reverseTransfer(services: Services, id: string, once: Once) {
  const { commits } = services.school.transfers
  let isAsked = false
  const reverse = async () => {
    isAsked = true
    return settled(await outside(services, () => commits.reverse(id, { deadlineMs: waitMs(services) })), false)
  }
  try {
    return await once(reverse, terms('transfer.reverse', services))
  } catch (error) {
    throw isAsked ? inDoubt(error, id) : error
  }
}

/** @throws TRANSFER_NOT_FOUND, TRANSFER_IN_FORCE */
export const cancelTransfer = (services: Services, id: string, once: Once) => {
  const cancel = () => services.school.transfers.commits.cancel(id, { deadlineMs: waitMs(services) })
  return once(async () => tell(await outside(services, cancel)), terms('transfer.cancel', services))
}

/** @throws TRANSFER_NOT_FOUND, TRANSFER_UNREADABLE */
export async function findTransfer({ school }: Services, id: string): Promise<ToldTransfer> {
  const found = await school.transfers.commits.get(id).catch(rename)
  if (!found) throw schoolError('TRANSFER_NOT_FOUND', `No transfer has the id ${id}`, { details: { id } })
  return tell(found)
}

/** Those that can be told of. */
export async function listTransfers(
  { school }: Services,
  state: TransactionState | undefined,
): Promise<ToldTransfer[]> {
  const found = await school.transfers.commits.list({ ...(state && { state }), limit: 100 })
  return found.filter(isTransfer).map(tell)
}

const terms = (name: string, services: Services) => ({ name, deadlineMs: waitMs(services) + besideMs })

/** A new one where there is no key. */
const idOfKey = (key: string | undefined, firstUsedAt: Date | undefined): string =>
  key === undefined || firstUsedAt === undefined
    ? randomUUID()
    : `key-${createHash('sha256').update(`${firstUsedAt.getTime()} ${key}`).digest('base64url')}`

/** The key's record is in a transaction, and a transfer in none: it would not be rolled back with one. */
const outside = ({ school }: Services, run: () => Promise<TwoPhaseTransaction>): Promise<TwoPhaseTransaction> =>
  school.db.transaction.begin(run, { propagation: 'not-supported' }).catch(rename)

/** @throws why a transfer was canceled */
function settled(ended: TwoPhaseTransaction, isFresh: boolean): ToldTransfer {
  if (ended.outcome === 'not-applied') throw refusal(ended, isFresh)
  return tell(ended)
}

const isTransfer = ({ input }: TwoPhaseTransaction): boolean =>
  typeof input === 'object' && input !== null && 'from' in input && 'to' in input && 'amount' in input

/** @throws TRANSFER_UNREADABLE */
function tell(transfer: TwoPhaseTransaction): ToldTransfer {
  const { id, state, reverseOf, isReversed } = transfer
  if (!isTransfer(transfer)) {
    throw schoolError('TRANSFER_UNREADABLE', `Transfer ${id} cannot be read: somebody has to look at it`, {
      details: { id },
    })
  }
  const { from, to, amount: amountCents } = transfer.input as Transfer
  const moved = isReversed ? { from: to, to: from } : { from, to }
  return { id, ...moved, amountCents, state, ...(reverseOf !== undefined && { reverseOf }) }
}

/** Why a transfer was canceled, with its id. */
function refusal(canceled: TwoPhaseTransaction, isFresh: boolean): Error {
  const { id, cause } = canceled
  const { from, amountCents } = tell(canceled)
  if (cause?.code === 'TWO_PHASE_GUARD_FAILED') {
    const text = `Transfer ${id} was canceled: account ${from} holds less than ${amountCents} cents, but for what is pending`
    return schoolError('INSUFFICIENT_FUNDS', text, { details: { id, accountId: from } })
  }
  if (cause?.code === 'TWO_PHASE_PARTICIPANT_MISSING') return accountNotFound(String(cause.documentId))
  const text = `Transfer ${id} was canceled, nothing was moved: ${cause?.message ?? 'somebody has canceled it'}`
  return schoolError('TRANSFER_CANCELED', text, { transient: isFresh && cause?.transient === true, details: { id } })
}

/** What failed once the engine was asked says nothing of the transfer, unless it is what the school says of it. */
function inDoubt(error: unknown, id: string): unknown {
  if (error instanceof StrataError && Object.hasOwn(schoolRefusals, error.code)) return error
  const text = `Transfer ${id} may have been made: ask for it, or send it again with the same id or key`
  return schoolError('TRANSFER_IN_DOUBT', text, { details: { id }, cause: error })
}

const names = {
  TWO_PHASE_ID_INVALID: 'TRANSFER_NOT_FOUND',
  TWO_PHASE_ID_REUSED: 'TRANSFER_ID_REUSED',
  TWO_PHASE_NOT_DONE: 'TRANSFER_NOT_DONE',
  TWO_PHASE_NOT_FOUND: 'TRANSFER_NOT_FOUND',
  TWO_PHASE_TOO_LATE: 'TRANSFER_IN_FORCE',
} as const

/** What the engine refuses, in the words of the school. */
function rename(cause: unknown): never {
  for (const [code, name] of Object.entries(names)) {
    if (!hasCode(cause, code)) continue
    throw schoolError(name, cause.message, { transient: isUnderWay(cause), cause })
  }
  throw cause
}

/** One that is not done may be so later. */
const isUnderWay = ({ code, details }: StrataError): boolean =>
  code === 'TWO_PHASE_NOT_DONE' && ['initial', 'pending', 'applied'].includes(String(details['state']))
