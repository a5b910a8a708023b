import type {
  AnyBulkWriteOperation,
  Batch,
  BSONSerializeOptions,
  BulkWriteOptions,
  BulkWriteResult,
  CollationOptions,
  Document,
  Hint,
  WriteConcern,
} from 'mongodb'
import type { Sessionless } from '../collection/options.ts'

/** A bulk write that is built here and executed at the level, and in the transaction, in which it was begun. */
export interface BoundBulk {
  readonly isOrdered: boolean
  readonly length: number
  readonly batches: Batch[]
  readonly bsonOptions: BSONSerializeOptions
  readonly writeConcern: WriteConcern | undefined
  insert(document: Document): BoundBulk
  find(selector: Document): BoundFindOperators
  raw(operation: AnyBulkWriteOperation): this
  /** Sends it as one statement. Several documents: a failure may have applied a part, as the driver's error tells. */
  execute(options?: Sessionless<BulkWriteOptions>): Promise<BulkWriteResult>
}

export interface BoundFindOperators {
  update(update: Document | Document[]): BoundBulk
  updateOne(update: Document | Document[]): BoundBulk
  replaceOne(replacement: Document): BoundBulk
  deleteOne(): BoundBulk
  delete(): BoundBulk
  upsert(): this
  collation(collation: CollationOptions): this
  arrayFilters(arrayFilters: Document[]): this
  hint(hint: Hint): this
}
