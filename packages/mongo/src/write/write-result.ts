import type { Document } from 'mongodb'
import type { Call } from '../statement/call.ts'

/**
 * The result that the driver would have given, from the server's reply to a write that was applied but whose confirmation
 * was late: the driver throws that reply instead of reading it.
 */
export function writeResult({ method, args, options }: Call, reply: Document): unknown {
  switch (method) {
    case 'insertOne':
      // The driver has put the `_id` into the caller's own document, unless the server was to make it.
      return { acknowledged: true, insertedId: (args[0] as Document)['_id'] }
    case 'deleteOne':
      return { acknowledged: true, deletedCount: reply['n'] }
    case 'updateOne':
    case 'replaceOne':
      return {
        acknowledged: true,
        matchedCount: reply['n'],
        modifiedCount: reply['nModified'] ?? reply['n'],
        upsertedCount: 0,
        upsertedId: null,
      }
    default:
      return options?.['includeResultMetadata'] ? reply : (reply['value'] ?? null)
  }
}
