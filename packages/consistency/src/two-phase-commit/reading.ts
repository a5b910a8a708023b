import type { DocumentId, Participant } from './participant.ts'
import type { Documents, Plain } from './port.ts'
import type { Entry } from './record.ts'
import type { Engine } from './settings.ts'
import { entriesField, tombstonesField } from './step-statement.ts'
import { outcomes, type TransactionState } from './table.ts'

/** A document, and what transactions under way have to do with it. */
export interface ReadDocument {
  readonly id: DocumentId
  /** The document as if what is not in force were not there, without the fields of the protocol: of numbers that `$inc` has changed. */
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
  const { [entriesField]: _, [tombstonesField]: __, ...visible } = structuredClone(document) as Record<string, unknown>
  for (const [path, by] of Object.entries(pending)) subtract(visible, path.split('.'), by)
  const transactions = entries.map(({ id }) => ({ id, state: stateOf.get(id) }))
  return { id: document['_id'] as DocumentId, visible, pending, transactions }
}

function flat(delta: Plain, prefix = ''): [string, number][] {
  return Object.entries(delta).flatMap(([name, by]): [string, number][] =>
    typeof by === 'number' ? [[prefix + name, by]] : flat(by as Plain, `${prefix}${name}.`),
  )
}

function subtract(target: Record<string, unknown>, [name = '', ...rest]: readonly string[], by: number): void {
  const value = target[name]
  if (rest.length > 0) {
    if (typeof value === 'object' && value !== null) subtract(value as Record<string, unknown>, rest, by)
  } else if (typeof value === 'number') target[name] = value - by
}
