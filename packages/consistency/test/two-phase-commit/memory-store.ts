import { aggregate, updateOne } from 'mingo'
import type { AnyObject } from 'mingo/types'
import type { Participant } from '../../src/two-phase-commit/participant.ts'
import type { Documents, Moment, Plain, Store } from '../../src/two-phase-commit/port.ts'

/** What happens to an operation on its way: it may be kept, and it may never be answered. */
export type Way = <T>(what: string, run: () => T) => Promise<T>

const straight: Way = async (_, run) => run()

/** The documents that several processes see, in one place and on one clock. */
export class Memory {
  readonly #collections = new Map<string, AnyObject[]>()
  /** What the server's clock shows. */
  nowMs: number

  constructor(nowMs = Date.now()) {
    this.nowMs = nowMs
  }

  collection(name: string): AnyObject[] {
    const found = this.#collections.get(name) ?? []
    this.#collections.set(name, found)
    return found
  }
}

/** The store of one process, whose statements go a way of their own. They are what MongoDB is sent, run by an interpreter of its language. */
export class MemoryStore implements Store {
  readonly records: Documents
  readonly #memory: Memory
  readonly #way: Way

  constructor(memory: Memory, way: Way = straight) {
    this.#memory = memory
    this.#way = way
    this.records = this.#documents('records')
  }

  participant({ collection }: Pick<Participant, 'collection'>): Documents {
    return this.#documents(collection)
  }

  placeOf({ collection }: Participant): string {
    return collection
  }

  isRefusal(error: unknown): boolean {
    return error instanceof Error && error.message.includes('assertion')
  }

  isOneCluster(): boolean {
    return true
  }

  async moment<T>(read: (moment: Moment) => Promise<T>): Promise<T> {
    const readable = (documents: AnyObject[]) => ({
      aggregate: async (pipeline: readonly Plain[]) => this.#aggregate(documents, pipeline),
    })
    return await read({
      records: readable(structuredClone(this.#memory.collection('records'))),
      participant: ({ collection }) => readable(structuredClone(this.#memory.collection(collection))),
    })
  }

  #documents(name: string): Documents {
    const documents = this.#memory.collection(name)
    const update = (filter: Plain, change: Plain | readonly Plain[]) => {
      const timed = this.#timed(filter)
      refuseSums(documents, timed, change)
      return updateOne(documents, timed, this.#timed(change) as never, { cloneMode: 'deep' }).matchedCount > 0
    }
    return {
      insert: document =>
        this.#way(`insert ${name}`, () => {
          if (documents.some(({ _id }) => _id === document['_id'])) return false
          documents.push(structuredClone(document))
          return true
        }),
      update: (filter, change) => this.#way(`update ${name}`, () => update(filter, change)),
      change: (filter, pipeline) =>
        this.#way(`change ${name}`, () => {
          if (!update(filter, pipeline)) return null
          return structuredClone(documents.find(({ _id }) => _id === idOf(filter)) ?? null)
        }),
      aggregate: pipeline => this.#way(`read ${name}`, () => this.#aggregate(documents, pipeline)),
    }
  }

  #aggregate(documents: AnyObject[], pipeline: readonly Plain[]): Plain[] {
    return structuredClone(aggregate(documents, this.#timed(pipeline) as AnyObject[]))
  }

  /** With the server's time in place of `$$NOW`. */
  #timed<T>(value: T): T {
    if (value === '$$NOW') return new Date(this.#memory.nowMs) as T
    if (Array.isArray(value)) return value.map(each => this.#timed(each)) as T
    if (typeof value !== 'object' || value === null || value instanceof Date) return value
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.#timed(each)])) as T
  }
}

/** The interpreter adds to a text; the server refuses to. */
function refuseSums(documents: AnyObject[], filter: Plain, change: Plain | readonly Plain[]): void {
  const sums = Object.keys('$inc' in change ? Object(change.$inc) : {})
  if (sums.length === 0) return
  const [document] = aggregate(documents, [{ $match: filter }])
  const text = document && sums.find(field => typeof document[field] === 'string')
  if (text) throw new Error(`assertion: Cannot apply $inc to ${text}`)
}

const idOf = ({ _id }: Plain): unknown => (typeof _id === 'object' && _id !== null && '$eq' in _id ? _id.$eq : _id)
