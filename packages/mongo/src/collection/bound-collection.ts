import type {
  Abortable,
  AggregateOptions,
  AnyBulkWriteOperation,
  BSONSerializeOptions,
  BulkWriteOptions,
  BulkWriteResult,
  CountDocumentsOptions,
  CountOptions,
  DeleteOptions,
  DeleteResult,
  DistinctOptions,
  Document,
  EstimatedDocumentCountOptions,
  ExplainCommandOptions,
  ExplainVerbosityLike,
  Filter,
  FindOneAndDeleteOptions,
  FindOneAndReplaceOptions,
  FindOneAndUpdateOptions,
  FindOneOptions,
  FindOptions,
  Flatten,
  Hint,
  IndexDescriptionCompact,
  IndexDescriptionInfo,
  IndexInformationOptions,
  InsertManyResult,
  InsertOneOptions,
  InsertOneResult,
  ListIndexesOptions,
  ListSearchIndexesOptions,
  ModifyResult,
  OperationOptions,
  OptionalUnlessRequiredId,
  ReadConcern,
  ReadPreference,
  ReplaceOptions,
  Sort,
  UpdateFilter,
  UpdateOptions,
  UpdateResult,
  WithId,
  WithoutId,
  WriteConcern,
} from 'mongodb'
import type { BoundBulk } from '../bulk/bound-bulk.ts'
import type { BoundAggregationCursor, BoundCursor, BoundFindCursor } from '../cursor/bound-cursor.ts'
import type { Sessionless } from './options.ts'

/** The statements of the driver's `Collection<T>`, signature by signature. */
export interface BoundStatements<T extends Document> {
  readonly dbName: string
  readonly collectionName: string
  readonly namespace: string
  readonly readConcern: ReadConcern | undefined
  readonly readPreference: ReadPreference | undefined
  readonly writeConcern: WriteConcern | undefined
  readonly bsonOptions: BSONSerializeOptions
  readonly hint: Hint | undefined

  insertOne(doc: OptionalUnlessRequiredId<T>, options?: Sessionless<InsertOneOptions>): Promise<InsertOneResult<T>>
  insertMany(
    docs: ReadonlyArray<OptionalUnlessRequiredId<T>>,
    options?: Sessionless<BulkWriteOptions>,
  ): Promise<InsertManyResult<T>>
  bulkWrite(
    operations: ReadonlyArray<AnyBulkWriteOperation<T>>,
    options?: Sessionless<BulkWriteOptions>,
  ): Promise<BulkWriteResult>
  updateOne(
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options?: Sessionless<UpdateOptions> & { sort?: Sort },
  ): Promise<UpdateResult<T>>
  replaceOne(
    filter: Filter<T>,
    replacement: WithoutId<T>,
    options?: Sessionless<ReplaceOptions>,
  ): Promise<UpdateResult<T>>
  updateMany(
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options?: Sessionless<UpdateOptions>,
  ): Promise<UpdateResult<T>>
  deleteOne(filter?: Filter<T>, options?: Sessionless<DeleteOptions>): Promise<DeleteResult>
  deleteMany(filter?: Filter<T>, options?: Sessionless<DeleteOptions>): Promise<DeleteResult>

  findOne(): Promise<WithId<T> | null>
  findOne(filter: Filter<T>, options?: Sessionless<FindOneOptions> & Abortable): Promise<WithId<T> | null>
  findOne<R = T>(): Promise<R | null>
  findOne<R = T>(filter: Filter<T>, options?: Sessionless<FindOneOptions> & Abortable): Promise<R | null>

  options(options?: Sessionless<OperationOptions>): Promise<Document>
  isCapped(options?: Sessionless<OperationOptions>): Promise<boolean>
  indexExists(indexes: string | string[], options?: Sessionless<ListIndexesOptions>): Promise<boolean>
  indexInformation(options: Sessionless<IndexInformationOptions> & { full: true }): Promise<IndexDescriptionInfo[]>
  indexInformation(options: Sessionless<IndexInformationOptions> & { full?: false }): Promise<IndexDescriptionCompact>
  indexInformation(
    options: Sessionless<IndexInformationOptions>,
  ): Promise<IndexDescriptionCompact | IndexDescriptionInfo[]>
  indexInformation(): Promise<IndexDescriptionCompact>
  indexes(options: Sessionless<IndexInformationOptions> & { full?: true }): Promise<IndexDescriptionInfo[]>
  indexes(options: Sessionless<IndexInformationOptions> & { full: false }): Promise<IndexDescriptionCompact>
  indexes(options: Sessionless<IndexInformationOptions>): Promise<IndexDescriptionCompact | IndexDescriptionInfo[]>
  indexes(options?: Sessionless<ListIndexesOptions>): Promise<IndexDescriptionInfo[]>

  estimatedDocumentCount(options?: Sessionless<EstimatedDocumentCountOptions>): Promise<number>
  countDocuments(filter?: Filter<T>, options?: Sessionless<CountDocumentsOptions> & Abortable): Promise<number>
  /** @deprecated by the driver: use `countDocuments` or `estimatedDocumentCount` */
  count(filter?: Filter<T>, options?: Sessionless<CountOptions>): Promise<number>

  distinct<Key extends keyof WithId<T>>(key: Key, filter?: Filter<T>): Promise<Array<Flatten<WithId<T>[Key]>>>
  distinct<Key extends keyof WithId<T>>(
    key: Key,
    filter: Filter<T>,
    options: Sessionless<DistinctOptions>,
  ): Promise<Array<Flatten<WithId<T>[Key]>>>
  distinct<Key extends keyof WithId<T>>(
    key: Key,
    filter: Filter<T>,
    options: Sessionless<DistinctOptions> & { explain: ExplainVerbosityLike | ExplainCommandOptions },
  ): Promise<Document>
  distinct(key: string, filter?: Filter<T>, options?: Sessionless<DistinctOptions>): Promise<unknown[]>

  findOneAndDelete(
    filter: Filter<T>,
    options: Sessionless<FindOneAndDeleteOptions> & { includeResultMetadata: true },
  ): Promise<ModifyResult<T>>
  findOneAndDelete(filter: Filter<T>, options?: Sessionless<FindOneAndDeleteOptions>): Promise<WithId<T> | null>
  findOneAndReplace(
    filter: Filter<T>,
    replacement: WithoutId<T>,
    options: Sessionless<FindOneAndReplaceOptions> & { includeResultMetadata: true },
  ): Promise<ModifyResult<T>>
  findOneAndReplace(
    filter: Filter<T>,
    replacement: WithoutId<T>,
    options?: Sessionless<FindOneAndReplaceOptions>,
  ): Promise<WithId<T> | null>
  findOneAndUpdate(
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options: Sessionless<FindOneAndUpdateOptions> & { includeResultMetadata: true },
  ): Promise<ModifyResult<T>>
  findOneAndUpdate(
    filter: Filter<T>,
    update: UpdateFilter<T> | Document[],
    options?: Sessionless<FindOneAndUpdateOptions>,
  ): Promise<WithId<T> | null>
}

/**
 * A collection whose every operation runs at the level, and in the transaction, in which it is called: the driver's own
 * `Collection<T>` without what would escape from there. Usable at module level, before any context exists.
 *
 * @throws (each operation) CONTEXT_MISSING, CONTEXT_ENDED, OTHER_DATASOURCE, TRANSACTION_ENDED, HOLD_AND_WAIT, POOL_TIMEOUT,
 * LOCK_TIMEOUT, SESSION_REFUSED, SERVICE_ONLY, SERVER_UNREACHABLE (all `not-applied`), DEADLINE_EXCEEDED,
 * OPERATION_TIMEOUT (as the operation allows to tell), WRITE_UNCONFIRMED (`applied`), and the driver's own errors as they are
 */
export interface BoundCollection<T extends Document = Document> extends BoundStatements<T> {
  find(): BoundFindCursor<WithId<T>>
  find(filter: Filter<T>, options?: Sessionless<FindOptions> & Abortable): BoundFindCursor<WithId<T>>
  find<R extends Document>(filter: Filter<T>, options?: Sessionless<FindOptions> & Abortable): BoundFindCursor<R>
  aggregate<R extends Document = Document>(
    pipeline?: Document[],
    options?: Sessionless<AggregateOptions> & Abortable,
  ): BoundAggregationCursor<R>
  listIndexes(options?: Sessionless<ListIndexesOptions>): BoundCursor<IndexDescriptionInfo>
  listSearchIndexes(options?: Sessionless<ListSearchIndexesOptions>): BoundCursor<{ name: string }>
  listSearchIndexes(name: string, options?: Sessionless<ListSearchIndexesOptions>): BoundCursor<{ name: string }>
  initializeOrderedBulkOp(options?: Sessionless<BulkWriteOptions>): BoundBulk
  initializeUnorderedBulkOp(options?: Sessionless<BulkWriteOptions>): BoundBulk
}
