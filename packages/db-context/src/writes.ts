/** The documents that one write changes, or may change: `ids` as texts that are equal for equal `_id`s. */
export interface DocumentSet {
  /** The collection, with its database. */
  readonly collection: string
  readonly ids: readonly string[]
  /** False where the write may have changed documents that `ids` does not name. */
  readonly isComplete: boolean
}

/** What one open transaction has written, as it travels with the work that it awaits. */
export interface TransactionWrites {
  readonly transaction: string
  readonly name?: string
  readonly level: number
  /** At most 16 collections and 32 ids in all; beyond that the sets are not complete. */
  readonly collections: readonly DocumentSet[]
}

const idsKeptMax = 1024
const idsSentMax = 32
const collectionsMax = 16
const transactionsMax = 16
const textLengthMax = 256

/** How sure it is that a document is among those written: `possible` where one side does not say which it means. */
export type Match = 'certain' | 'possible'

/** What one transaction has written so far. Finite, whatever it writes. */
export class Writes {
  readonly #collections = new Map<string, { readonly ids: Set<string>; isComplete: boolean }>()
  #size = 0

  get collections(): Iterable<string> {
    return this.#collections.keys()
  }

  add({ collection, ids, isComplete }: DocumentSet): void {
    let of = this.#collections.get(collection)
    if (!of) {
      of = { ids: new Set(), isComplete: true }
      this.#collections.set(collection, of)
    }
    const room = idsKeptMax - this.#size
    const before = of.ids.size
    for (const id of ids.length > room ? ids.slice(0, room) : ids) of.ids.add(id)
    this.#size += of.ids.size - before
    of.isComplete &&= isComplete && ids.length <= room
  }

  match({ collection, ids, isComplete }: DocumentSet): Match | undefined {
    const of = this.#collections.get(collection)
    if (!of) return undefined
    if (ids.some(id => of.ids.has(id))) return 'certain'
    return isComplete && of.isComplete ? undefined : 'possible'
  }

  /** What travels. */
  sent(): DocumentSet[] {
    let room = idsSentMax
    return [...this.#collections].slice(0, collectionsMax).map(([collection, of]) => {
      const ids = [...of.ids].slice(0, room)
      room -= ids.length
      return { collection, ids, isComplete: of.isComplete && ids.length === of.ids.size }
    })
  }
}

/** Takes over what another process says that its transactions have written; undefined for anything else. */
export function readWrites(found: unknown): readonly TransactionWrites[] | undefined {
  if (!Array.isArray(found) || found.length > transactionsMax) return undefined
  const read = found.map(readTransaction)
  return read.every(each => each !== undefined) ? read : undefined
}

function readTransaction(found: unknown): TransactionWrites | undefined {
  if (!isRecord(found)) return undefined
  const { transaction, name, level, collections } = found
  if (!isText(transaction) || !Number.isSafeInteger(level) || (level as number) < 0) return undefined
  if (name !== undefined && !isText(name)) return undefined
  if (!Array.isArray(collections) || collections.length > collectionsMax) return undefined
  const read = collections.map(readSet)
  if (!read.every(each => each !== undefined)) return undefined
  if (read.reduce((sum, { ids }) => sum + ids.length, 0) > idsSentMax) return undefined
  return { transaction, ...(name === undefined ? {} : { name }), level: level as number, collections: read }
}

function readSet(found: unknown): DocumentSet | undefined {
  if (!isRecord(found)) return undefined
  const { collection, ids, isComplete } = found
  if (!isText(collection) || typeof isComplete !== 'boolean') return undefined
  if (!Array.isArray(ids) || ids.length > idsSentMax || !ids.every(isText)) return undefined
  return { collection, ids: [...ids], isComplete }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= textLengthMax

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
