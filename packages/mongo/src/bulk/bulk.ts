import type {
  AnyBulkWriteOperation,
  Batch,
  BSONSerializeOptions,
  BulkOperationBase,
  BulkWriteOptions,
  BulkWriteResult,
  CollationOptions,
  Document,
  FindOperators,
  Hint,
  WriteConcern,
} from 'mongodb'
import type { MongoBinding } from '../door.ts'
import { type Call, type GivenOptions, type MongoTarget, refuseSession, send, whatOf } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import type { TimeLimit } from '../translate.ts'
import { namedByBatches } from '../write/named.ts'
import { runUnheeded } from '../write/unheeded.ts'
import { noteEnd, Writing } from '../write/writing.ts'
import type { BoundBulk, BoundFindOperators } from './bound-bulk.ts'

/** Begins a bulk write. `call` is the one that makes the driver's builder. */
export function beginBulk(binding: MongoBinding, call: Call): BoundBulk {
  const { settings } = call.door
  const collection = binding.pool.collection(settings.database, call.collection)
  const options = sessionless(call.options)
  const raw =
    call.method === 'initializeOrderedBulkOp'
      ? collection.initializeOrderedBulkOp(options)
      : collection.initializeUnorderedBulkOp(options)
  return new Bulk(raw, { binding, call })
}

const isUpsert = (operation: unknown) => (operation as { readonly upsert?: unknown }).upsert === true

function sessionless(options: GivenOptions | undefined): BulkWriteOptions {
  const { session, ...rest } = options ?? {}
  return rest
}

interface Origin {
  readonly binding: MongoBinding
  readonly call: Call
}

class Bulk implements BoundBulk {
  readonly #raw: BulkOperationBase
  readonly #origin: Origin

  constructor(raw: BulkOperationBase, origin: Origin) {
    this.#raw = raw
    this.#origin = origin
  }

  get isOrdered(): boolean {
    return this.#raw.isOrdered
  }

  get length(): number {
    return this.#raw.length
  }

  get batches(): Batch[] {
    return this.#raw.batches
  }

  get bsonOptions(): BSONSerializeOptions {
    return this.#raw.bsonOptions
  }

  get writeConcern(): WriteConcern | undefined {
    return this.#raw.writeConcern
  }

  insert(document: Document): this {
    this.#raw.insert(document)
    return this
  }

  find(selector: Document): BoundFindOperators {
    return new Operators(this, this.#raw.find(selector))
  }

  raw(operation: AnyBulkWriteOperation): this {
    this.#raw.raw(operation)
    return this
  }

  async execute(given?: GivenOptions): Promise<BulkWriteResult> {
    const { binding, call } = this.#origin
    const what = `${whatOf(call)}.execute`
    refuseSession(given, what)
    const userMs = given?.maxTimeMS ?? call.options?.maxTimeMS
    const writing = new Writing(binding, call, () => namedByBatches(this.#raw.batches))
    if (!binding.transaction) writing.check()
    const execute = async (target: MongoTarget, limit: TimeLimit) => {
      const options: BulkWriteOptions = { ...sessionless(given), maxTimeMS: limit.ms }
      if (target.transaction) options.session = target.transaction.session
      try {
        const result = await send(call, { target, limit, run: () => this.#raw.execute(options) })
        writing.done(result)
        return result
      } catch (error) {
        throw binding.transaction ? writing.explain(error) : error
      }
    }
    try {
      if (!binding.transaction && this.#raw.batches.some(({ operations }) => operations.some(isUpsert))) {
        return await runUnheeded(binding, { call, what, userMs }, execute)
      }
      return await binding.statement(what, target =>
        execute(target, timeLimit(call.door.settings.operationTimeoutMs, userMs, target.deadline)),
      )
    } catch (error) {
      noteEnd(binding, call, error)
      throw error
    }
  }
}

/** The driver's operators hand back the driver's bulk; these hand back ours. */
class Operators implements BoundFindOperators {
  readonly #bulk: Bulk
  readonly #raw: FindOperators

  constructor(bulk: Bulk, raw: FindOperators) {
    this.#bulk = bulk
    this.#raw = raw
  }

  update(update: Document | Document[]): BoundBulk {
    this.#raw.update(update)
    return this.#bulk
  }

  updateOne(update: Document | Document[]): BoundBulk {
    this.#raw.updateOne(update)
    return this.#bulk
  }

  replaceOne(replacement: Document): BoundBulk {
    this.#raw.replaceOne(replacement)
    return this.#bulk
  }

  deleteOne(): BoundBulk {
    this.#raw.deleteOne()
    return this.#bulk
  }

  delete(): BoundBulk {
    this.#raw.delete()
    return this.#bulk
  }

  upsert(): this {
    this.#raw.upsert()
    return this
  }

  collation(collation: CollationOptions): this {
    this.#raw.collation(collation)
    return this
  }

  arrayFilters(arrayFilters: Document[]): this {
    this.#raw.arrayFilters(arrayFilters)
    return this
  }

  hint(hint: Hint): this {
    this.#raw.hint(hint)
    return this
  }
}
