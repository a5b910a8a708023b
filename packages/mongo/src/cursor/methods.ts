/**
 * What a member of the driver's cursors is to a bound one.
 *
 * - `property`, `local`: answered by the driver's cursor without the server
 * - `chain`: sets an option of the driver's cursor and returns the bound one
 * - `own`: written out in `Cursor`
 * - `refused`: fails typed
 * - `internal`: not part of the driver's public face, and absent here
 */
export type CursorMember = 'property' | 'local' | 'chain' | 'own' | 'refused' | 'internal'

/** Every member of the driver's find, aggregation and index cursors; a test keeps it complete. */
export const cursorMethods = {
  _initialize: 'internal',
  addCursorFlag: 'refused',
  addQueryModifier: 'own',
  addStage: 'chain',
  allowDiskUse: 'chain',
  batchSize: 'chain',
  bufferedCount: 'own',
  cleanup: 'internal',
  client: 'internal',
  // A clone loses the session: make the cursor again where it is needed.
  clone: 'refused',
  close: 'own',
  closed: 'own',
  collation: 'chain',
  comment: 'chain',
  count: 'own',
  cursorInit: 'internal',
  emitClose: 'internal',
  explain: 'own',
  fetchBatch: 'internal',
  filter: 'chain',
  forEach: 'own',
  geoNear: 'chain',
  getMore: 'internal',
  group: 'chain',
  hasNext: 'own',
  hint: 'chain',
  id: 'property',
  isDead: 'internal',
  killed: 'property',
  limit: 'chain',
  loadBalanced: 'property',
  lookup: 'chain',
  map: 'own',
  match: 'chain',
  max: 'chain',
  // Of tailable cursors only, which are refused.
  maxAwaitTimeMS: 'refused',
  maxTimeMS: 'own',
  min: 'chain',
  namespace: 'property',
  next: 'own',
  out: 'chain',
  pipeline: 'property',
  project: 'chain',
  readBufferedDocuments: 'own',
  readConcern: 'property',
  readPreference: 'property',
  redact: 'chain',
  resolveExplainTimeoutOptions: 'internal',
  returnKey: 'chain',
  rewind: 'own',
  server: 'internal',
  session: 'internal',
  showRecordId: 'chain',
  skip: 'chain',
  sort: 'chain',
  stream: 'own',
  throwIfInitialized: 'internal',
  toArray: 'own',
  trackCursor: 'internal',
  transformDocument: 'internal',
  tryNext: 'own',
  unwind: 'chain',
  withReadConcern: 'chain',
  withReadPreference: 'chain',
} as const satisfies Record<string, CursorMember>
