import { randomUUID } from 'node:crypto'
import { consistencyError } from '../errors.ts'
import { claimOf } from './claim.ts'
import { checkId, reverseId } from './entry.ts'
import { orInterrupted } from './interrupted.ts'
import { notFound, type Opening } from './opening.ts'
import { reversed } from './parts.ts'
import type { TransactionRecord } from './record.ts'
import { faultOf, type Resolution } from './record.ts'
import type { Runs } from './runs.ts'
import type { Engine } from './settings.ts'
import { entriesField, tombstonesField } from './step-statement.ts'
import { type EndState, isEnd, outcomes, resolutions, transactionStates } from './table.ts'
import { readRecord, transit } from './transition.ts'
import { unreadable } from './unreadable.ts'

/** @throws TWO_PHASE_NOT_FOUND */
async function existing(engine: Engine, id: string): Promise<TransactionRecord> {
  const record = await readRecord(engine, id)
  if (!record) throw notFound(id)
  return record
}

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
  const { definition, input, hash } = record
  const order = { definition, input, hash, parts: record.parts.map(reversed) }
  return { id: checkId(reverseId(id)), order, reverseOf: id }
}

export interface Resolve extends Resolution {
  readonly id: string
  /** What it is to be: `done` of one that is in force, else `canceled`. */
  readonly as: EndState
}

/**
 * Ends one that is stuck. What it still has on documents is removed without any effect: whoever calls this has corrected them. Where it
 * is interrupted it may be done again.
 *
 * @throws TWO_PHASE_NOT_STUCK, TWO_PHASE_NOT_FOUND, TWO_PHASE_DEFINITION_UNKNOWN, TWO_PHASE_INTERRUPTED
 */
export async function resolve(engine: Engine, { id, as, by, note }: Resolve): Promise<TransactionRecord> {
  const found = await existing(engine, id)
  const isKnown = transactionStates.includes(found.state)
  if (isKnown && !(found.stuck && resolutions[found.state]?.includes(as))) throw notStuck(found, as)
  const places = placesOf(engine, found)
  return await orInterrupted({ id, state: found.state }, async () => {
    const record = isKnown ? await claimed(engine, found) : found
    if (!record) throw notStuck(found, as)
    for (const place of places) await clear({ ...place, record, as })
    const resolved = { by, ...(note === undefined ? {} : { note }) }
    const strange = isKnown ? {} : { from: found.state }
    const ended = await transit(engine, 'resolve', {
      id,
      claim: claimOf(record),
      to: as,
      set: { resolved },
      ...strange,
    })
    if (!ended) throw notStuck(record, as)
    return ended
  })
}

interface Place {
  readonly documents: ReturnType<Engine['store']['participant']>
  readonly id: unknown
}

/** Where it may have something. A part that cannot be decoded tells of no place. @throws TWO_PHASE_DEFINITION_UNKNOWN */
function placesOf({ participants, store }: Engine, { _id, parts }: TransactionRecord): Place[] {
  return (Array.isArray(parts) ? parts : []).flatMap(part => {
    if (typeof part?.participant !== 'string') return []
    const participant = participants.get(part.participant)
    if (participant) return [{ documents: store.participant(participant), id: part.id }]
    throw consistencyError(
      'TWO_PHASE_DEFINITION_UNKNOWN',
      `No definition of this process uses participant ${part.participant} of transaction ${_id}: resolve it where one does. Nothing was done`,
      { outcome: 'not-applied', details: { id: _id, participant: part.participant } },
    )
  })
}

/**
 * What is not in force is canceled first: whoever goes on after a crash amid the clearing reverses and bars what is left, where in
 * `pending` it would come upon a tombstone that nothing accounts for. One that is `initial` has nothing on any document.
 */
async function claimed(engine: Engine, found: TransactionRecord): Promise<TransactionRecord | null> {
  if (found.state === 'initial') return found
  const { _id: id, stuck } = found
  const taken = await transit(engine, 'take-over', { id, claim: { owner: randomUUID() } })
  if (taken?.state !== 'pending') return taken
  return await transit(engine, 'cancel', {
    id,
    claim: { owner: randomUUID() },
    set: { ...(stuck && { cause: stuck }) },
  })
}

interface Clearing extends Place {
  readonly record: TransactionRecord
  readonly as: EndState
}

/** Takes the entry from a document, and leaves a tombstone: an `apply` that is under way must not come after it. */
async function clear({ documents, id, record, as }: Clearing): Promise<void> {
  const tombstone = { id: record._id, outcome: as, until: record.applyUntil ?? new Date(0) }
  await documents.update(
    { _id: { $eq: id } },
    { $pull: { [entriesField]: { id: record._id } }, $push: { [tombstonesField]: tombstone } },
  )
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

function notStuck({ _id: id, state, stuck }: TransactionRecord, as: EndState) {
  const why = stuck ? `cannot be resolved to ${as}, or somebody works on it` : 'is not stuck: recovery ends it'
  return consistencyError('TWO_PHASE_NOT_STUCK', `Transaction ${id} is ${String(state)} and ${why}`, {
    details: { id, state, as, isEnd: isEnd(state) },
  })
}
