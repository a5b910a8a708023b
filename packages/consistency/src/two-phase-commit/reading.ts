import type { DocumentId, Participant } from './participant.ts'
import type { Documents, Plain } from './port.ts'
import { type Entry, markOf } from './record.ts'
import type { Engine } from './settings.ts'
import { entriesField, tombstonesField } from './step-statement.ts'
import { outcomes, type TransactionState } from './table.ts'

/** A document, and what transactions under way have to do with it. */
export interface ReadDocument {
  readonly id: DocumentId
  /**
   * The document as if what is not in force were not there, without the fields of the protocol: of numbers that `$inc` has changed. What
   * other operators have changed is as it is.
   */
  readonly visible: Plain
  /** What transactions that are not in force have added, by field; less than 0 is reserved, more is not yet to be spent. */
  readonly pending: Readonly<Record<string, number>>
  readonly transactions: readonly {
    readonly id: string
    /** Undefined for one whose record is not there any more, or another engine's. */
    readonly state: TransactionState | undefined
  }[]
}

type Readable = Pick<Documents, 'aggregate'>

/**
 * Reads documents by what is in force. Within one cluster all of it is of one moment, records included, so what is moved among these documents
 * adds up at every moment. Across clusters each document is what it was when it was read, and no sum of two means anything.
 */
export async function readDocuments(
  engine: Engine,
  participant: Participant,
  ids: readonly DocumentId[],
): Promise<ReadDocument[]> {
  const { store } = engine
  if (!store.isOneCluster(participant)) return await read(store.participant(participant), store.records, ids)
  return await store.moment(moment => read(moment.participant(participant), moment.records, ids))
}

async function read(documents: Readable, records: Readable, ids: readonly DocumentId[]): Promise<ReadDocument[]> {
  const found = await documents.aggregate([{ $match: { _id: { $in: [...ids] } } }])
  const open = [...new Set(found.flatMap(document => entriesOf(document).map(({ id }) => id)))]
  const states = open.length === 0 ? [] : await records.aggregate(statesOf(open))
  const stateOf = new Map(states.map(({ mark, state }) => [mark, state as TransactionState]))
  const byId = new Map(found.map(document => [keyOf(document['_id']), document]))
  const told = ids.flatMap(id => {
    const document = byId.get(keyOf(id))
    return document ? [document] : []
  })
  return await Promise.all(told.map(document => describe(documents, document, stateOf)))
}

const keyOf = (id: unknown) => `${typeof id} ${String(id)}`

const statesOf = (ids: readonly string[]) => [
  { $match: { _id: { $in: [...ids] } } },
  { $project: { mark: 1, state: 1 } },
]

const entriesOf = (document: Plain) => (document[entriesField] ?? []) as readonly Entry[]

async function describe(
  documents: Readable,
  document: Plain,
  stateOf: ReadonlyMap<unknown, TransactionState>,
): Promise<ReadDocument> {
  const entries = entriesOf(document)
  const pending: Record<string, number> = {}
  for (const { key, delta } of entries) {
    const state = stateOf.get(markOf(key))
    if (state && outcomes[state] === 'applied') continue
    for (const [path, by] of flat(delta)) pending[path] = (pending[path] ?? 0) + by
  }
  const { [entriesField]: _, [tombstonesField]: __, ...own } = document
  const visible = await without(documents, own, pending)
  const transactions = entries.map(({ id, key }) => ({ id, state: stateOf.get(markOf(key)) }))
  return { id: document['_id'] as DocumentId, visible, pending, transactions }
}

function flat(delta: Plain, prefix = ''): [string, number][] {
  return Object.entries(delta).flatMap(([name, by]): [string, number][] =>
    typeof by === 'number' ? [[prefix + name, by]] : flat(by as Plain, `${prefix}${name}.`),
  )
}

/** What the document would be without these sums. */
async function without(documents: Readable, own: Plain, pending: ReadDocument['pending']): Promise<Plain> {
  const sums = Object.entries(pending).map(([path, by]) => ({ path: path.split('.'), by }))
  const values = sums.map(({ path }) => valueAt(own, path))
  // What JavaScript has no exact number for the server subtracts: `Decimal128`, and a `Long` beyond 2^53.
  const differences = values.some(isExact)
    ? await subtractThere(
        documents,
        own['_id'],
        values.map((value, at) => ({ value, by: sums[at]?.by ?? 0 })),
      )
    : values.map((value, at) => (typeof value === 'number' ? value - (sums[at]?.by ?? 0) : value))
  return sums.reduce((copy: Plain, { path }, at) => replaced(copy, path, differences[at]) as Plain, own)
}

const isExact = (value: unknown): boolean => typeof value === 'object' && value !== null && '_bsontype' in value

interface Difference {
  readonly value: unknown
  readonly by: number
}

async function subtractThere(documents: Readable, id: unknown, all: readonly Difference[]): Promise<unknown[]> {
  const differences = all.map(({ value, by }) =>
    isNumber(value) ? { $subtract: [{ $literal: value }, by] } : { $literal: value },
  )
  const [found] = await documents.aggregate([{ $match: { _id: { $eq: id } } }, { $project: { differences } }])
  // Gone since it was read.
  return (found?.['differences'] ?? all.map(({ value }) => value)) as unknown[]
}

const isNumber = (value: unknown): boolean => typeof value === 'number' || isExact(value)

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce((at, name) => (typeof at === 'object' && at !== null ? (at as Plain)[name] : undefined), value)
}

/** A copy as far as the path goes. A copy of all of it would make an `ObjectId`, and any other type of BSON, a plain object. */
function replaced(value: unknown, [name, ...rest]: readonly string[], by: unknown): unknown {
  if (name === undefined) return by
  if (typeof value !== 'object' || value === null || !(name in value)) return value
  const inner = replaced((value as Plain)[name], rest, by)
  return Array.isArray(value) ? value.with(Number(name), inner) : { ...value, [name]: inner }
}
