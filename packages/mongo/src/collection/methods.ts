/**
 * What a member of the driver's collection is to a bound one.
 *
 * - `statement`: one read from call to answer
 * - `write-one`: a statement that writes one document, which may be sent in slices
 * - `write-many`: a statement that writes several documents, of which a server that gave it up may have written some
 * - `cursor`, `bulk`: builds an object whose own operations are bound where this one was called
 * - `property`: answered without the server
 * - `definition`: changes the collection itself or its indexes, in short tries, only through the service door
 * - `service`: only through the service door
 * - `stream`: a change stream, only through the service door
 * - `refused`: fails typed wherever it is called
 * - `internal`: not part of the driver's public face, and absent here
 */
export type Method =
  | { readonly kind: 'statement'; readonly options: number }
  | { readonly kind: 'write-one'; readonly options: number }
  | { readonly kind: 'write-many'; readonly options: number }
  | { readonly kind: 'cursor'; readonly options: number }
  | { readonly kind: 'bulk'; readonly options: number }
  | { readonly kind: 'property' }
  | { readonly kind: 'definition'; readonly options: number }
  | { readonly kind: 'service'; readonly options: number | undefined }
  | { readonly kind: 'stream'; readonly options: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'internal' }

const read = (options: number) => ({ kind: 'statement', options }) as const
const writeMany = (options: number) => ({ kind: 'write-many', options }) as const
const writeOne = (options: number) => ({ kind: 'write-one', options }) as const
const cursor = (options: number) => ({ kind: 'cursor', options }) as const
const bulk = (options: number) => ({ kind: 'bulk', options }) as const
const definition = (options: number) => ({ kind: 'definition', options }) as const
const service = (options?: number) => ({ kind: 'service', options }) as const
const property = { kind: 'property' } as const
const refused = { kind: 'refused' } as const
const internal = { kind: 'internal' } as const

/** Every member of the driver's collection; a test keeps it complete. The number is the index of the options argument. */
export const collectionMethods = {
  aggregate: cursor(1),
  bsonOptions: property,
  bulkWrite: writeMany(1),
  collectionName: property,
  count: read(1),
  countDocuments: read(1),
  createIndex: definition(1),
  createIndexes: definition(1),
  createSearchIndex: service(),
  createSearchIndexes: service(),
  dbName: property,
  deleteMany: writeMany(1),
  deleteOne: writeOne(1),
  distinct: read(2),
  drop: definition(0),
  dropIndex: definition(1),
  dropIndexes: definition(0),
  dropSearchIndex: service(),
  estimatedDocumentCount: read(0),
  find: cursor(1),
  findOne: read(1),
  findOneAndDelete: writeOne(1),
  findOneAndReplace: writeOne(2),
  findOneAndUpdate: writeOne(2),
  fullNamespace: internal,
  hint: property,
  indexExists: read(1),
  indexInformation: read(0),
  indexes: read(0),
  initializeOrderedBulkOp: bulk(0),
  initializeUnorderedBulkOp: bulk(0),
  insertMany: writeMany(1),
  insertOne: writeOne(1),
  isCapped: read(0),
  listIndexes: cursor(0),
  listSearchIndexes: cursor(1),
  namespace: property,
  options: read(0),
  readConcern: property,
  readPreference: property,
  // Hands out a collection of the driver, and renames under everybody who is bound to the old name.
  rename: refused,
  replaceOne: writeOne(2),
  // Has had no effect since 7.8 of the driver.
  timeoutMS: internal,
  updateMany: writeMany(2),
  updateOne: writeOne(2),
  updateSearchIndex: service(),
  watch: { kind: 'stream', options: 1 },
  writeConcern: property,
} as const satisfies Record<string, Method>

export type MethodName = keyof typeof collectionMethods

/** What an operation may have changed by the time the server gives it up. */
export type Effect = 'read' | 'one' | 'many'

/** A cursor reads, as long as no stage of it writes. */
export function effectOf(method: Method): Effect {
  if (method.kind === 'write-one') return 'one'
  return method.kind === 'cursor' || method.kind === 'statement' ? 'read' : 'many'
}
