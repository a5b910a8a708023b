import { createHash } from 'node:crypto'
import { BSON, type Document } from 'mongodb'
import type { Call } from '../statement/call.ts'

/** The documents that a write names by their `_id`s; not complete where it may write others too. */
export interface Named {
  readonly ids: readonly string[]
  readonly isComplete: boolean
}

const textLengthMax = 64

/** So many ids are looked at; a longer list counts as one that may name others. */
const idsMax = 1000

const unnamed: Named = { ids: [], isComplete: false }

/** What a call names; of an insert without `_id`, only once the driver has answered it: it puts one in. */
export function namedBy({ method, args }: Pick<Call, 'method' | 'args'>): Named {
  const [first] = args
  switch (method) {
    case 'insertOne':
      return isRecord(first) && first['_id'] !== undefined ? only(first['_id']) : unnamed
    case 'insertMany':
      return Array.isArray(first) ? byDocuments(first) : unnamed
    case 'bulkWrite':
      return Array.isArray(first) ? union(first.map(byOperation)) : unnamed
    default:
      return byFilter(first)
  }
}

/** What the builder of a bulk write has put together. */
export function namedByBatches(batches: readonly { readonly operations: readonly Document[] }[]): Named {
  const operations = batches.flatMap(({ operations: each }) => each)
  return union(operations.map(each => ('q' in each ? byFilter(each['q']) : byDocuments([each]))))
}

/** One text for one `_id`, whatever type a language gives to the same number. */
export function idText(id: unknown): string {
  if (typeof id === 'string') return short(`s:${id}`)
  if (typeof id === 'number' || typeof id === 'bigint') return `n:${id}`
  const type = typeof id === 'object' && id !== null && '_bsontype' in id ? id._bsontype : undefined
  if (type === 'ObjectId') return `o:${String(id)}`
  if (type === 'Int32' || type === 'Double' || type === 'Long') return `n:${String(id)}`
  return short(`x:${BSON.EJSON.stringify({ id }, { relaxed: false })}`)
}

function short(text: string): string {
  if (text.length <= textLengthMax) return text
  return `h:${createHash('sha256').update(text).digest('base64url').slice(0, 32)}`
}

function byOperation(operation: unknown): Named {
  const [[kind, of] = []] = Object.entries(operation ?? {})
  if (!isRecord(of)) return unnamed
  return kind === 'insertOne' ? byDocuments([of['document']]) : byFilter(of['filter'])
}

function byDocuments(documents: readonly unknown[]): Named {
  const ids = documents.map(document => (isRecord(document) ? document['_id'] : undefined))
  const known = ids.filter(id => id !== undefined)
  return listed(known, known.length === ids.length)
}

function byFilter(filter: unknown): Named {
  if (!isRecord(filter) || filter['_id'] === undefined) return unnamed
  const { _id: condition } = filter
  if (condition instanceof RegExp) return unnamed
  if (!isRecord(condition) || '_bsontype' in condition || condition instanceof Date) return only(condition)
  const operators = Object.keys(condition)
  if (!operators.some(operator => operator.startsWith('$'))) return only(condition)
  if ('$eq' in condition) return only(condition['$eq'])
  const list = condition['$in']
  if (!Array.isArray(list) || list.some(each => each instanceof RegExp)) return unnamed
  return listed(list, true)
}

function listed(ids: readonly unknown[], isComplete: boolean): Named {
  return { ids: ids.slice(0, idsMax).map(idText), isComplete: isComplete && ids.length <= idsMax }
}

const only = (id: unknown): Named => ({ ids: [idText(id)], isComplete: true })

function union(all: readonly Named[]): Named {
  const ids = all.flatMap(each => each.ids)
  return { ids: ids.slice(0, idsMax), isComplete: ids.length <= idsMax && all.every(({ isComplete }) => isComplete) }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
