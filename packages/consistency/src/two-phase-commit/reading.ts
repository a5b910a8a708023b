import type { DocumentId, Participant } from './participant.ts'
import type { Documents, Plain } from './port.ts'
import type { Entry } from './record.ts'
import type { Engine } from './settings.ts'
import { entriesField, tombstonesField } from './step-statement.ts'
import { outcomes, type TransactionState } from './table.ts'

/** A document, and what transactions under way have to do with it. */
export interface ReadDocument {
  readonly id: DocumentId
  /**
   * The document as if what is not in force were not there, without the fields of the protocol: of numbers that `$inc` has changed. What
   * other operators have changed, and what is no number in JavaScript (`Decimal128`), is as it is.
   */
  readonly visible: Plain
  /** What transactions that are not in force have added, by field; less than 0 is reserved, more is not yet to be spent. */
  readonly pending: Readonly<Record<string, number>>
  readonly transactions: readonly {
    readonly id: string
    /** Undefined for one whose record is not there any more. */
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
  const stateOf = new Map(states.map(({ _id, state }) => [_id, state as TransactionState]))
  const byId = new Map(found.map(document => [keyOf(document['_id']), document]))
  return ids.flatMap(id => {
    const document = byId.get(keyOf(id))
    return document ? [describe(document, stateOf)] : []
  })
}

const keyOf = (id: unknown) => `${typeof id} ${String(id)}`

const statesOf = (ids: readonly string[]) => [{ $match: { _id: { $in: [...ids] } } }, { $project: { state: 1 } }]

const entriesOf = (document: Plain) => (document[entriesField] ?? []) as readonly Entry[]

function describe(document: Plain, stateOf: ReadonlyMap<unknown, TransactionState>): ReadDocument {
  const entries = entriesOf(document)
  const pending: Record<string, number> = {}
  for (const { id, delta } of entries) {
    const state = stateOf.get(id)
    if (state && outcomes[state] === 'applied') continue
    for (const [path, by] of flat(delta)) pending[path] = (pending[path] ?? 0) + by
  }
  const { [entriesField]: _, [tombstonesField]: __, ...own } = document
  const without = (value: unknown, [path, by]: [string, number]) => subtract(value, path.split('.'), by)
  const visible = Object.entries(pending).reduce(without, own) as Plain
  const transactions = entries.map(({ id }) => ({ id, state: stateOf.get(id) }))
  return { id: document['_id'] as DocumentId, visible, pending, transactions }
}

function flat(delta: Plain, prefix = ''): [string, number][] {
  return Object.entries(delta).flatMap(([name, by]): [string, number][] =>
    typeof by === 'number' ? [[prefix + name, by]] : flat(by as Plain, `${prefix}${name}.`),
  )
}

/** A copy as far as the path goes. A copy of all of it would make an `ObjectId`, and any other type of BSON, a plain object. */
function subtract(value: unknown, [name, ...rest]: readonly string[], by: number): unknown {
  if (name === undefined) return typeof value === 'number' ? value - by : value
  if (Array.isArray(value)) {
    return value.map((each, index) => (String(index) === name ? subtract(each, rest, by) : each))
  }
  if (typeof value !== 'object' || value === null || !(name in value)) return value
  return { ...value, [name]: subtract((value as Plain)[name], rest, by) }
}
