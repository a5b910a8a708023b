export type { BoundCollection } from './collection/bound-collection.ts'
export { type MongoDatasource, mongoDatasource } from './datasource.ts'
export { type MongoErrorCode, mongoError, mongoErrors } from './errors.ts'
export type { MongoDatasourceOptions } from './options.ts'
