import type { AbstractCursor, Document } from 'mongodb'
import type { MongoBinding } from '../door.ts'
import { mongoError } from '../errors.ts'
import { type Call, type GivenOptions, methodOf, refuseSession, whatOf } from '../statement/call.ts'
import { Cursor } from './cursor.ts'

/** Makes the cursor of a call; nothing is sent before its first fetch. @throws SERVICE_ONLY for a tailable one, SESSION_REFUSED */
export function openCursor(binding: MongoBinding, call: Call): Cursor {
  const normal = normalArguments(call)
  refuseSession(normal.options, whatOf(normal))
  refuseTailable(normal)
  const collection = binding.pool.collection(call.door.settings.database, call.collection)
  const { maxTimeMS, ...options } = normal.options ?? {}
  const args = [...normal.args]
  args[normal.optionsAt] = binding.transaction ? { ...options, session: binding.transaction.session } : options
  const raw = methodOf(collection, call.method)(...args) as AbstractCursor<Document>
  return new Cursor(raw, { binding, call: normal })
}

/** `listSearchIndexes` takes its options also as its only argument. */
function normalArguments(call: Call): Call {
  const [first] = call.args
  if (call.method !== 'listSearchIndexes' || typeof first !== 'object' || first === null) return call
  return { ...call, args: [undefined, first], options: first as GivenOptions }
}

function refuseTailable(call: Call): void {
  const { tailable, awaitData } = call.options ?? {}
  if (!tailable && !awaitData) return
  const what = whatOf(call)
  throw mongoError(
    'SERVICE_ONLY',
    `${what} with a tailable cursor would keep a connection waiting: use watch of the service door`,
    { details: { what } },
  )
}
