import { randomUUID } from 'node:crypto'
import { consistencyError } from '../errors.ts'
import { claimOf } from './claim.ts'
import { orInterrupted } from './interrupted.ts'
import { existing } from './opening.ts'
import { faultOf, keyOf, type Resolution, recordVersion, type TransactionRecord } from './record.ts'
import type { Engine } from './settings.ts'
import { entriesField, tombstonesField } from './step-statement.ts'
import { type EndState, isEnd, resolutions, transactionStates } from './table.ts'
import { transit } from './transition.ts'
import { unreadable } from './unreadable.ts'

export interface Resolve extends Resolution {
  readonly id: string
  /** What it is to be: `done` of one that is in force, else `canceled`. */
  readonly as: EndState
}

/**
 * Ends one that is stuck, and notes the documents that still had its update: those are a person's from then on. Where it is interrupted
 * it may be done again.
 *
 * @throws TWO_PHASE_NOT_STUCK, TWO_PHASE_NOT_FOUND, TWO_PHASE_DEFINITION_UNKNOWN, TWO_PHASE_RECORD_INVALID, TWO_PHASE_INTERRUPTED
 */
export async function resolve(engine: Engine, { id, as, by, note }: Resolve): Promise<TransactionRecord> {
  const found = await existing(engine, id)
  // What another version has written only that one knows how to take away.
  if (found.v !== recordVersion) throw unreadable(id, faultOf(found) ?? '', 'not-applied')
  const isKnown = transactionStates.includes(found.state)
  const may = isKnown ? found.stuck && resolutions[found.state]?.includes(as) : isEnd(as)
  if (!may) throw notStuck(found, as)
  const places = placesOf(engine, found)
  return await orInterrupted({ id, state: found.state }, async () => {
    const record = await claimed(engine, found, isKnown)
    if (!record || !(await noteLeft(engine, record, places))) throw notStuck(found, as)
    for (const place of places) await clear(engine, { place, record, as })
    const resolved = { by, ...(note === undefined ? {} : { note }) }
    const at = { id, claim: claimOf(record), to: as, set: { resolved }, ...(isKnown ? {} : { from: found.state }) }
    const ended = await transit(engine, 'resolve', at)
    if (!ended) throw notStuck(record, as)
    return ended
  })
}

interface Place {
  readonly documents: ReturnType<Engine['store']['participant']>
  readonly id: unknown
  /** The number of the part. */
  readonly index: number
  readonly key: string
}

/** Where it may have something. A part that cannot be decoded tells of no place. @throws TWO_PHASE_DEFINITION_UNKNOWN */
function placesOf({ participants, store }: Engine, record: TransactionRecord): Place[] {
  const { _id, parts } = record
  return (Array.isArray(parts) ? parts : []).flatMap((part, index) => {
    if (typeof part?.participant !== 'string') return []
    const participant = participants.get(part.participant)
    const key = keyOf(record, index)
    if (participant) return [{ documents: store.participant(participant), id: part.id, index, key }]
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
async function claimed(engine: Engine, found: TransactionRecord, isKnown: boolean): Promise<TransactionRecord | null> {
  const { _id: id, state, stuck } = found
  if (state === 'initial') return found
  const strange = isKnown ? {} : { from: state }
  const taken = await transit(engine, 'take-over', { id, claim: { owner: randomUUID() }, ...strange })
  if (taken?.state !== 'pending') return taken
  const set = { ...(stuck && { cause: stuck }) }
  return await transit(engine, 'cancel', { id, claim: { owner: randomUUID() }, set })
}

/** Before it is taken away: after that nobody could tell. @returns false where the claim is another's */
async function noteLeft(
  { store }: Engine,
  { _id, token }: TransactionRecord,
  places: readonly Place[],
): Promise<boolean> {
  const looks = places.map(async ({ documents, id, index, key }) => {
    const found = await documents.aggregate([{ $match: { _id: { $eq: id }, [`${entriesField}.key`]: key } }])
    return found.length > 0 ? [index] : []
  })
  const left = (await Promise.all(looks)).flat()
  const all = { $setUnion: [{ $ifNull: ['$left', []] }, { $literal: left }] }
  return (await store.records.change({ _id, token }, [{ $set: { left: all } }])) !== null
}

interface Clearing {
  readonly place: Place
  readonly record: TransactionRecord
  readonly as: EndState
}

/**
 * Takes the entry from a document, without any effect. While an `apply` may still be under way it leaves a tombstone; not later, since it
 * may be the tombstone that a document has no room for, or that its schema refuses.
 */
async function clear({ clockSkewMs }: Engine, { place: { documents, id, key }, record, as }: Clearing): Promise<void> {
  const { _id, applyUntil, touchedAt } = record
  const isPast = applyUntil === undefined || touchedAt.getTime() > applyUntil.getTime() + clockSkewMs
  const tombstone = { key, id: _id, outcome: as, until: applyUntil }
  await documents.update(
    { _id: { $eq: id } },
    { $pull: { [entriesField]: { key } }, ...(isPast ? {} : { $push: { [tombstonesField]: tombstone } }) },
  )
}

function notStuck({ _id: id, state, stuck }: TransactionRecord, as: EndState) {
  const why = stuck ? `cannot be resolved to ${as}, or somebody works on it` : 'is not stuck: recovery ends it'
  return consistencyError('TWO_PHASE_NOT_STUCK', `Transaction ${id} is ${String(state)} and ${why}`, {
    details: { id, state, as, isEnd: isEnd(state) },
  })
}
