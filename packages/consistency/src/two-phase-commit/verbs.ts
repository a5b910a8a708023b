import { randomUUID } from 'node:crypto'
import { consistencyError } from '../errors.ts'
import { checkId, reverseId } from './entry.ts'
import { existing, type Opening } from './opening.ts'
import { hashOfReverse, reversed } from './parts.ts'
import type { TransactionRecord } from './record.ts'
import { faultOf } from './record.ts'
import type { Runs } from './runs.ts'
import type { Engine } from './settings.ts'
import { outcomes } from './table.ts'
import { transit } from './transition.ts'
import { unreadable } from './unreadable.ts'

/**
 * From here on it is not going to be in force, whoever works on it: what is left is to reverse what was applied.
 *
 * @throws TWO_PHASE_TOO_LATE, TWO_PHASE_NOT_FOUND, TWO_PHASE_RECORD_INVALID
 */
export async function cancel(engine: Engine, runs: Runs, { id, deadlineMs }: { id: string; deadlineMs: number }) {
  const cause = { code: 'TWO_PHASE_CANCELED', message: `Transaction ${id} was canceled before it was in force` }
  // Looked at first: what cannot be read must not be claimed.
  const found = faultOf(await existing(engine, id))
  if (found !== undefined) throw unreadable(id, found)
  for (let tries = 0; ; tries += 1) {
    const claimed = await transit(engine, 'cancel', { id, claim: { owner: randomUUID() }, set: { cause } })
    if (claimed) return await runs.follow(claimed, runs.drive(claimed), deadlineMs)
    const record = await existing(engine, id)
    const fault = faultOf(record)
    if (fault !== undefined) throw unreadable(id, fault)
    if (outcomes[record.state] === 'applied') throw tooLate(record)
    // It came into being between the two statements.
    const mayBeCanceled = engine.protocol.transitions.cancel.from.includes(record.state)
    if (!mayBeCanceled || tries === triesMax) return await runs.follow(record, undefined, deadlineMs)
  }
}

const triesMax = 5

/** What makes the reverse of a transaction that is done. @throws TWO_PHASE_NOT_DONE, TWO_PHASE_NOT_FOUND, TWO_PHASE_RECORD_INVALID */
export async function reverseOf(engine: Engine, id: string): Promise<Opening> {
  const record = await existing(engine, id)
  const fault = faultOf(record)
  if (fault !== undefined) throw unreadable(id, fault)
  if (record.state !== 'done') throw notDone(record)
  const { definition, input } = record
  const order = { definition, input, hash: hashOfReverse(record), parts: record.parts.map(reversed) }
  return { id: checkId(reverseId(id)), order, reverseOf: id, isReversed: !record.isReversed }
}

const tooLate = ({ _id: id, state }: TransactionRecord) =>
  consistencyError(
    'TWO_PHASE_TOO_LATE',
    `Transaction ${id} is ${state}, it cannot be canceled any more: reverse(${JSON.stringify(id)}) makes one with the roles exchanged`,
    { details: { id, state } },
  )

const notDone = ({ _id: id, state }: TransactionRecord) =>
  consistencyError('TWO_PHASE_NOT_DONE', `Transaction ${id} is ${state}, and only what is done can be reversed`, {
    details: { id, state },
    transient: state === 'applied',
  })
