import { randomUUID } from 'node:crypto'
import { consistencyError } from '../errors.ts'
import { claimOf } from './claim.ts'
import { orInterrupted } from './interrupted.ts'
import { existing } from './opening.ts'
import { faultOf, keyOf, type Resolution, recordVersion, type Tombstone, type TransactionRecord } from './record.ts'
import type { Engine } from './settings.ts'
import { entriesField, tombstonesField } from './step-statement.ts'
import { type EndState, isEnd, resolutions, transactionStates } from './table.ts'
import { letGo, transit } from './transition.ts'
import { unreadable } from './unreadable.ts'

export interface Resolve extends Resolution {
  readonly id: string
  /** What it is to be: `done` of one that is in force, else `canceled`. */
  readonly as: EndState
}

/**
 * Ends one that is stuck, and notes the documents that still had its update: those are a person's from then on. Where it is interrupted
 * it may be done again, and recovery goes on with it.
 *
 * @throws TWO_PHASE_NOT_STUCK, TWO_PHASE_NOT_SETTLED, TWO_PHASE_NOT_FOUND, TWO_PHASE_DEFINITION_UNKNOWN, TWO_PHASE_RECORD_INVALID,
 * TWO_PHASE_INTERRUPTED
 */
export async function resolve(engine: Engine, { id, as, by, note }: Resolve): Promise<TransactionRecord> {
  const found = await existing(engine, id)
  // What another version has written only that one knows how to take away.
  if (found.v !== recordVersion) throw unreadable(id, faultOf(found) ?? '', 'not-applied')
  const isKnown = isKnownState(found)
  const isLeft = found.stuck ?? found.resolving
  if (!(isKnown ? isLeft && resolutions[found.state]?.includes(as) : isEnd(as))) throw notStuck(found, as)
  placesOf(engine, found)
  return await orInterrupted({ id, state: found.state }, async () => {
    const record = await claimed(engine, found)
    if (!record) throw notStuck(found, as)
    if (!isSettled(engine, record)) {
      await letGo(engine, record, {})
      throw notSettled(engine, record)
    }
    const resolving: Resolve = { id, as, by, ...(note === undefined ? {} : { note }) }
    const decided = await decide(engine, record, resolving)
    const ended = decided && (await carryOut(engine, decided, resolving))
    if (!ended) throw notStuck(record, as)
    return ended
  })
}

/** Before anything is cleared: who goes on after a crash must not take for reversed what was only taken away. */
async function decide({ store }: Engine, { _id, token }: TransactionRecord, resolving: Resolve) {
  const decided = await store.records.change({ _id, token }, [{ $set: { resolving: { $literal: resolving } } }])
  return decided as TransactionRecord | null
}

/** Does what a person has decided, under a claim. @returns null where that is lost @throws TWO_PHASE_DEFINITION_UNKNOWN */
export async function carryOut(engine: Engine, record: TransactionRecord, { as, by, note }: Resolve) {
  const left = await clearAll(engine, placesOf(engine, record), { record, as })
  const resolved = { by, ...(note === undefined ? {} : { note }) }
  const strange = isKnownState(record) ? {} : { from: record.state }
  const at = { id: record._id, claim: claimOf(record), to: as, set: { resolved, left }, ...strange }
  return await transit(engine, 'resolve', at)
}

const isKnownState = ({ state }: TransactionRecord): boolean => transactionStates.includes(state)

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
async function claimed(engine: Engine, found: TransactionRecord): Promise<TransactionRecord | null> {
  const { _id: id, state, stuck } = found
  if (state === 'initial') return found
  const strange = isKnownState(found) ? {} : { from: state }
  const taken = await transit(engine, 'take-over', { id, claim: { owner: randomUUID() }, ...strange })
  if (taken?.state !== 'pending') return taken
  const set = { ...(stuck && { cause: stuck }) }
  return await transit(engine, 'cancel', { id, claim: { owner: randomUUID() }, set })
}

/** Whether no `apply` can come late any more, to a document that is not there yet, or after it was cleared. */
const isSettled = ({ clockSkewMs }: Engine, { applyUntil, touchedAt }: TransactionRecord): boolean =>
  applyUntil === undefined || touchedAt.getTime() > applyUntil.getTime() + clockSkewMs

interface Clearing {
  readonly record: TransactionRecord
  readonly as: EndState
}

/** @returns the numbers of the parts whose update was in place, and has not come into force */
async function clearAll(engine: Engine, places: readonly Place[], clearing: Clearing): Promise<number[]> {
  const left: number[] = []
  for (const place of places) {
    const wasInPlace = await clear(engine, place, clearing)
    if (wasInPlace && clearing.as === 'canceled') left.push(place.index)
  }
  return left
}

/**
 * Takes the entry from a document, without any effect, and notes there that it did: a reverse that is under way comes before that one
 * write or finds nothing, and whoever resolves it again after a crash finds the note.
 *
 * @returns whether it was there
 */
async function clear({ windowMs }: Engine, { documents, id, key }: Place, { record, as }: Clearing): Promise<boolean> {
  const until = new Date(record.touchedAt.getTime() + windowMs)
  const note: Tombstone = { key, id: record._id, outcome: as, until, isLeft: true }
  const isTaken = await documents.update(
    { _id: { $eq: id }, [`${entriesField}.key`]: key },
    { $pull: { [entriesField]: { key } }, $push: { [tombstonesField]: note } },
  )
  if (isTaken) return true
  const noted = { [tombstonesField]: { $elemMatch: { key, isLeft: true } } }
  return (await documents.aggregate([{ $match: { _id: { $eq: id }, ...noted } }, { $project: { _id: 1 } }])).length > 0
}

function notStuck({ _id: id, state, stuck }: TransactionRecord, as: EndState) {
  const why = stuck ? `cannot be resolved to ${as}, or somebody works on it` : 'is not stuck: recovery ends it'
  return consistencyError('TWO_PHASE_NOT_STUCK', `Transaction ${id} is ${String(state)} and ${why}`, {
    details: { id, state, as, isEnd: isEnd(state) },
  })
}

function notSettled({ clockSkewMs }: Engine, { _id: id, state, applyUntil, touchedAt }: TransactionRecord) {
  const leftMs = (applyUntil?.getTime() ?? 0) + clockSkewMs - touchedAt.getTime()
  return consistencyError(
    'TWO_PHASE_NOT_SETTLED',
    `Transaction ${id} is ${state}, and an update that was sent for it may still arrive within ${leftMs} ms: resolve it after that, if it ` +
      'is still stuck',
    { details: { id, state, leftMs } },
  )
}
