import type {
  ChangeStream,
  ChangeStreamDocument,
  ChangeStreamOptions,
  CreateIndexesOptions,
  Document,
  DropCollectionOptions,
  DropIndexesOptions,
  IndexDescription,
  IndexSpecification,
  SearchIndexDescription,
} from 'mongodb'
import type { BoundCollection } from '../collection/bound-collection.ts'
import type { Sessionless } from '../collection/options.ts'

/** The driver's change stream without its way to the driver's own collection. */
export type BoundChangeStream<L extends Document, C extends Document> = Omit<ChangeStream<L, C>, 'parent'>

/**
 * A collection on the service pool: everything of a bound one, and what changes or watches the collection itself.
 *
 * Definition waits for every open transaction that uses the collection, and new ones wait behind it, so it comes in short
 * tries, for up to `definitionTimeoutMs` (`DEFINITION_BLOCKED`); one with a `maxTimeMS` of its own is sent once with that, as a
 * large index may need. In work that somebody awaits, or in a transaction, it is refused (`DEFINITION_REFUSED`).
 */
export interface ServiceCollection<T extends Document = Document> extends BoundCollection<T> {
  createIndex(spec: IndexSpecification, options?: Sessionless<CreateIndexesOptions>): Promise<string>
  /** One after the other. */
  createIndexes(specs: IndexDescription[], options?: Sessionless<CreateIndexesOptions>): Promise<string[]>
  drop(options?: Sessionless<DropCollectionOptions>): Promise<boolean>
  dropIndex(name: string, options?: Sessionless<DropIndexesOptions>): Promise<Document>
  dropIndexes(options?: Sessionless<DropIndexesOptions>): Promise<boolean>
  createSearchIndex(description: SearchIndexDescription): Promise<string>
  createSearchIndexes(descriptions: SearchIndexDescription[]): Promise<string[]>
  dropSearchIndex(name: string): Promise<void>
  updateSearchIndex(name: string, definition: Document): Promise<void>
  /**
   * Opens a change stream on a connection of its own, closed with the context at the latest. @throws STREAM_LIMIT,
   * SESSION_REFUSED
   */
  watch<L extends Document = T, C extends Document = ChangeStreamDocument<L>>(
    pipeline?: Document[],
    options?: Sessionless<ChangeStreamOptions>,
  ): BoundChangeStream<L, C>
}
