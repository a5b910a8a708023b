import { remainingMs } from '@strata/db-context'
import type { Call, MongoTarget } from '../statement/call.ts'
import { namedBy } from './named.ts'
import type { EndTurn, TurnKind } from './turns.ts'

/** Names the one document that a write is of; none for a write that does not say which it is. */
export function documentOf(call: Call): string | undefined {
  const { ids, isComplete } = namedBy(call)
  const [id] = ids
  return isComplete && ids.length === 1 ? `${call.namespace} ${id}` : undefined
}

const kindOf = (transaction: MongoTarget['transaction']): TurnKind =>
  transaction ? (transaction.isRepeated ? 'repeated' : 'transaction') : 'plain'

/**
 * The turn of a write that has its connection. A transaction waits only with its first statement: later it would wait with a
 * snapshot that whoever is in front makes stale, and with documents that others wait for.
 */
export function turnOf(call: Call, target: MongoTarget): EndTurn | undefined | Promise<EndTurn | undefined> {
  const { door, method } = call
  if (!door.scope.isolated || method === 'insertOne') return undefined
  const document = documentOf(call)
  if (document === undefined) return undefined
  const { transaction, level, deadline } = target
  const kind = kindOf(transaction)
  // Of one level only: a connection that waits for a shallower one's would be missing where that one's deeper work needs it.
  const key = `${level} ${document}`
  if (transaction && !transaction.isFirst) return door.turns.tryTake(key, kind)
  return door.turns.take(key, kind, remainingMs(deadline))
}
