import type { Readable } from 'node:stream'
import type {
  CollationOptions,
  CountOptions,
  Document,
  ExplainCommandOptions,
  ExplainVerbosityLike,
  Hint,
  Long,
  MongoDBNamespace,
  ReadConcern,
  ReadConcernLike,
  ReadPreference,
  ReadPreferenceLike,
  Sort,
  SortDirection,
} from 'mongodb'
import type { Sessionless } from '../collection/options.ts'

/**
 * A cursor that stays at the level and in the transaction in which it was made. On a replica set it holds nothing between
 * two fetches. Behind a load balancer a cursor with more batches keeps its connection until it is read to its end or
 * closed; whatever would wait for the same connections meanwhile is refused with `HOLD_AND_WAIT`, so read it with
 * `toArray()` or do the loop's work one level deeper.
 *
 * It is closed at the latest when its transaction, or else its unit of work, ends.
 *
 * @throws (each fetch) the errors of a statement; TRANSACTION_ENDED or CONTEXT_ENDED once it was closed so
 */
export interface BoundCursor<T> extends AsyncDisposable, AsyncIterable<T> {
  readonly id: Long | undefined
  readonly namespace: MongoDBNamespace
  readonly readPreference: ReadPreference
  readonly readConcern: ReadConcern | undefined
  readonly closed: boolean
  readonly killed: boolean
  readonly loadBalanced: boolean

  next(): Promise<T | null>
  tryNext(): Promise<T | null>
  hasNext(): Promise<boolean>
  /** Stops early when the iterator returns `false`. */
  forEach(iterator: (doc: T) => unknown): Promise<void>
  toArray(): Promise<T[]>
  /** Fetches in the context in which the stream was made, whoever reads it. */
  stream(): Readable & AsyncIterable<T>
  bufferedCount(): number
  readBufferedDocuments(number?: number): NonNullable<T>[]
  close(): Promise<void>
  rewind(): void

  map<R>(transform: (doc: T) => R): BoundCursor<R>
  batchSize(value: number): this
  maxTimeMS(value: number): this
  withReadPreference(readPreference: ReadPreferenceLike): this
  withReadConcern(readConcern: ReadConcernLike): this

  on(event: 'close', listener: () => void): this
  once(event: 'close', listener: () => void): this
  off(event: 'close', listener: () => void): this
}

/** A cursor that the server can explain. */
interface BoundExplainableCursor<T> extends BoundCursor<T> {
  explain(verbosity?: ExplainVerbosityLike | ExplainCommandOptions): Promise<Document>
}

export interface BoundFindCursor<T> extends BoundExplainableCursor<T> {
  map<R>(transform: (doc: T) => R): BoundFindCursor<R>
  filter(filter: Document): this
  hint(hint: Hint): this
  min(min: Document): this
  max(max: Document): this
  returnKey(value: boolean): this
  showRecordId(value: boolean): this
  addQueryModifier(name: string, value: string | boolean | number | Document): this
  comment(value: string): this
  project<R extends Document = Document>(value: Document): BoundFindCursor<R>
  sort(sort: Sort | string, direction?: SortDirection): this
  allowDiskUse(allow?: boolean): this
  collation(value: CollationOptions): this
  limit(value: number): this
  skip(value: number): this
  /** @deprecated by the driver: use `countDocuments` of the collection */
  count(options?: Sessionless<CountOptions>): Promise<number>
}

export interface BoundAggregationCursor<T> extends BoundExplainableCursor<T> {
  readonly pipeline: Document[]
  map<R>(transform: (doc: T) => R): BoundAggregationCursor<R>
  addStage(stage: Document): this
  addStage<R = Document>(stage: Document): BoundAggregationCursor<R>
  group<R = T>($group: Document): BoundAggregationCursor<R>
  limit($limit: number): this
  match($match: Document): this
  out($out: { db: string; coll: string } | string): this
  project<R extends Document = Document>($project: Document): BoundAggregationCursor<R>
  lookup($lookup: Document): this
  redact($redact: Document): this
  skip($skip: number): this
  sort($sort: Sort): this
  unwind($unwind: Document | string): this
  geoNear($geoNear: Document): this
}
