import { randomUUID } from 'node:crypto'
import { StrataError } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import { interrupted, orInterrupted } from './interrupted.ts'
import type { Order } from './parts.ts'
import { faultOf, recordVersion, type TransactionRecord } from './record.ts'
import type { Engine } from './settings.ts'
import { readRecord, transit } from './transition.ts'
import { unreadable } from './unreadable.ts'

export interface Opening {
  readonly id: string
  readonly order: Order
  readonly reverseOf?: string
  readonly isReversed?: boolean
}

export interface Opened {
  readonly record: TransactionRecord
  /** Whether the claim is the caller's. */
  readonly isMine: boolean
}

/**
 * Makes the record, or finds it. Claimed at once where the server's clock is known, in one round trip: the lease and the deadline of
 * steps go by that. Otherwise made first and claimed then.
 *
 * @throws TWO_PHASE_ID_REUSED, TWO_PHASE_INTERRUPTED, what the store throws where nothing was written
 */
export async function open(engine: Engine, opening: Opening): Promise<Opened> {
  const owner = randomUUID()
  const now = engine.clock.atLeast
  const until = now && new Date(now.getTime() + engine.leaseMs)
  const claim = { state: 'pending', token: 1, owner, until, applyUntil: until } as const
  const made = recordOf(opening, now, until ? claim : submitted)
  const isNew = await insert(engine, made)
  if (isNew && until) return { record: made as unknown as TransactionRecord, isMine: true }
  return await orInterrupted({ id: opening.id }, async () => {
    const started = isNew ? await transit(engine, 'start', { id: opening.id, claim: { owner } }) : null
    const record = started ?? (await find(engine, opening))
    // Also where the answer to the insert was lost.
    return { record, isMine: record.owner === owner }
  })
}

const triesMax = 4
const pauseMs = 50

/** An insert may be sent again: it is there once. Not when its claim has run out meanwhile. */
async function insert(engine: Engine, record: ReturnType<typeof recordOf>): Promise<boolean> {
  const { store, pause, elapsedMs, leaseMs } = engine
  const begun = elapsedMs()
  let mayBeThere = false
  for (let tries = 1; ; tries += 1) {
    try {
      return await store.records.insert({ ...record })
    } catch (error) {
      mayBeThere ||= !(error instanceof StrataError && error.outcome === 'not-applied')
      if (store.isRefusal(error)) throw error
      if (tries === triesMax || elapsedMs() - begun > leaseMs) {
        throw mayBeThere ? interrupted({ id: record._id }, error) : error
      }
      await pause(pauseMs * tries)
    }
  }
}

/** Makes the record for others to run. @throws as {@link open} */
export async function submit(engine: Engine, opening: Opening): Promise<TransactionRecord> {
  const now = engine.clock.atLeast
  const isNew = await insert(engine, recordOf(opening, now, submitted))
  return await orInterrupted({ id: opening.id }, async () => {
    if (isNew && !now) await stamp(engine, opening.id)
    return await find(engine, opening)
  })
}

/** Gives a record the server's time, which was not known when it was made. */
async function stamp({ store, clock }: Engine, id: string): Promise<void> {
  const times = { createdAt: '$$NOW', changedAt: '$$NOW', touchedAt: '$$NOW' }
  const record = await store.records.change({ _id: id, createdAt: unknownTime }, [{ $set: times }])
  clock.observe((record as TransactionRecord | null)?.touchedAt)
}

const submitted = { state: 'initial', token: 0 } as const

/** The oldest there is, until somebody claims it: no clock is known. */
const unknownTime = new Date(0)

function recordOf({ id, order, reverseOf, isReversed = false }: Opening, now = unknownTime, start: object = submitted) {
  return {
    _id: id,
    v: recordVersion,
    mark: randomUUID(),
    ...order,
    open: true,
    createdAt: now,
    changedAt: now,
    touchedAt: now,
    ...(reverseOf === undefined ? {} : { reverseOf, isReversed }),
    ...start,
  }
}

/** @throws TWO_PHASE_ID_REUSED, TWO_PHASE_NOT_FOUND, TWO_PHASE_RECORD_INVALID */
async function find(engine: Engine, { id, order, reverseOf }: Opening): Promise<TransactionRecord> {
  const record = await existing(engine, id)
  const fault = faultOf(record)
  if (fault !== undefined) throw unreadable(id, fault)
  if (record.hash === order.hash && record.reverseOf === reverseOf) return record
  throw consistencyError(
    'TWO_PHASE_ID_REUSED',
    `Transaction ${id} is another one, of ${record.definition} with another input: nothing was done. Take another id`,
    { details: { id, definition: record.definition } },
  )
}

/** @throws TWO_PHASE_NOT_FOUND */
export async function existing(engine: Engine, id: string): Promise<TransactionRecord> {
  const record = await readRecord(engine, id)
  if (!record) throw notFound(id)
  return record
}

const notFound = (id: string) =>
  consistencyError('TWO_PHASE_NOT_FOUND', `There is no transaction ${id.slice(0, 200)}, or its window is over`, {
    details: { id },
  })
