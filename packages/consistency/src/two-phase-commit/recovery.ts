import { errorOf } from './fault.ts'
import type { Cause, TransactionRecord } from './record.ts'
import { faultOf, recordVersion } from './record.ts'
import type { Runs } from './runs.ts'
import { ageOf, type Engine, limitOf } from './settings.ts'
import { transactionStates } from './table.ts'
import { isFree } from './transition.ts'
import { unreadable } from './unreadable.ts'

export interface RecoverOptions {
  /** Those that nobody has touched for so long, in milliseconds of the server's clock; default 0, since nobody has their claims. */
  readonly olderThanMs?: number
  /** How many it looks at; default 100, 1 to 1,000. The rest is the next one's. */
  readonly limit?: number
}

/** One that a person has to look at. */
export interface Faulty {
  readonly id: string
  readonly cause: Cause
}

export interface Recovery {
  /** How many were taken up. */
  readonly taken: number
  readonly done: number
  readonly canceled: number
  /** Taken up by another meanwhile, or with a part of their way still to go; also those put off, whose participant does not answer. */
  readonly open: number
  /** Nothing was done about these now; the others were gone on with. */
  readonly faulty: readonly Faulty[]
}

const atOnce = 4
const openStates = transactionStates.filter(state => state !== 'done' && state !== 'canceled')

/** One bounded look for transactions that nobody works on. Safe anywhere, any number of times: each is claimed first. */
export async function recover(engine: Engine, runs: Runs, options: RecoverOptions): Promise<Recovery> {
  const records = await candidates(engine, options)
  const ends: Partial<Recovery>[] = []
  const left = records.values()
  const away = new Set<string>()
  const work = async () => {
    for (const record of left) {
      const isInVain = faultOf(record) === undefined && record.parts.some(({ participant }) => away.has(participant))
      ends.push(isInVain ? await putOff(engine, record) : await takeUp(engine, runs, { record, away }))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  const sum = (of: 'taken' | 'done' | 'canceled' | 'open') => ends.reduce((all, end) => all + (end[of] ?? 0), 0)
  const faulty = [...ends.flatMap(end => end.faulty ?? []), ...(await strangers(engine, options))]
  return { taken: sum('taken'), done: sum('done'), canceled: sum('canceled'), open: sum('open'), faulty }
}

interface Taking {
  readonly record: TransactionRecord
  /** Participants that have not answered this recovery: each is waited for once and not record by record. */
  readonly away: Set<string>
}

async function takeUp(engine: Engine, runs: Runs, { record, away }: Taking): Promise<Partial<Recovery>> {
  const fault = faultOf(record)
  if (fault !== undefined) return { faulty: [await noteFault(engine, record, fault)] }
  try {
    const drive = await runs.takeUp(record)
    if (!drive) return {}
    const { state, stuck } = drive.record
    if (drive.away !== undefined) away.add(drive.away)
    if (drive.how === 'stuck' && stuck) return { taken: 1, faulty: [{ id: record._id, cause: stuck }] }
    if (drive.how === 'ended') return state === 'done' ? { taken: 1, done: 1 } : { taken: 1, canceled: 1 }
    const isFailed = drive.how === 'interrupted' && drive.error !== undefined
    return { taken: 1, open: 1, ...(isFailed && { faulty: [{ id: record._id, cause: errorOf(drive.error) }] }) }
  } catch (error) {
    return { faulty: [{ id: record._id, cause: errorOf(error) }] }
  }
}

/** To the end, as what was looked at. */
async function putOff({ store }: Engine, { _id, token }: TransactionRecord): Promise<Partial<Recovery>> {
  await store.records.change({ _id, token }, [{ $set: { touchedAt: '$$NOW' } }]).catch(() => null)
  return { open: 1 }
}

/** Oldest first. Whatever is looked at goes to the end, so that what cannot be ended keeps nobody from the rest. */
async function candidates(engine: Engine, options: RecoverOptions): Promise<TransactionRecord[]> {
  const records = await engine.store.records.aggregate([
    {
      $match: {
        open: true,
        v: recordVersion,
        state: { $in: openStates },
        definition: { $in: [...engine.definitions] },
        $expr: { $and: [isFree, isOld(options)] },
      },
    },
    { $sort: { touchedAt: 1 } },
    { $limit: limitOf(options) },
  ])
  return records as unknown as TransactionRecord[]
}

const isOld = (options: RecoverOptions) => ({
  $lte: ['$touchedAt', { $subtract: ['$$NOW', ageOf(options)] }],
})

/** What this version does not touch. */
async function strangers(engine: Engine, options: RecoverOptions): Promise<Faulty[]> {
  const strange = [
    { v: { $ne: recordVersion } },
    { state: { $nin: [...transactionStates] } },
    { definition: { $nin: [...engine.definitions] } },
  ]
  // What has ended is nobody's business any more, and what is held somebody else can read. The range is all of the index.
  const isLeft = { open: true, touchedAt: { $gte: new Date(0) }, $expr: { $and: [isFree, isOld(options)] } }
  const records = await engine.store.records.aggregate([
    { $match: { ...isLeft, $or: strange } },
    { $sort: { touchedAt: 1 } },
    { $limit: limitOf(options) },
  ])
  return (records as unknown as TransactionRecord[]).map(record => ({ id: record._id, cause: causeOf(record) }))
}

function causeOf(record: TransactionRecord): Cause {
  const fault = faultOf(record)
  if (fault !== undefined) return errorOf(unreadable(record._id, fault))
  const message = `Transaction ${record._id} is of ${record.definition}, which this process does not have`
  return { code: 'TWO_PHASE_DEFINITION_UNKNOWN', message }
}

async function noteFault({ store }: Engine, { _id: id, token }: TransactionRecord, fault: string): Promise<Faulty> {
  const cause = errorOf(unreadable(id, fault))
  const stuck = { $mergeObjects: [{ $literal: cause }, { at: '$$NOW' }] }
  await store.records.change({ _id: id, token }, [{ $set: { stuck, touchedAt: '$$NOW' } }])
  return { id, cause }
}
