import { setTimeout as sleep } from 'node:timers/promises'
import type { MongoBinding } from '../door.ts'
import { type Call, type MongoTarget, whatOf } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import { givenUp, type TimeLimit } from '../translate.ts'

/** Beyond the limit that the server was given, so that its own answer comes first where it keeps to it. */
const graceMs = 250

/** True for a list of operations of a bulk write of which one is an upsert. */
export function hasUpsert(operations: unknown): boolean {
  if (!Array.isArray(operations)) return false
  return operations.some(operation => Object.values(operation ?? {}).some(isUpsert))
}

const isUpsert = (operation: unknown): boolean =>
  typeof operation === 'object' && operation !== null && 'upsert' in operation && operation.upsert === true

/**
 * Runs a statement that the server may not end at its limit: a bulk write with an upsert that a key of an open transaction
 * blocks. Its caller is told at the limit that the outcome is unknown; the connection stays taken until the driver has
 * settled, because until then it is.
 *
 * @throws OPERATION_TIMEOUT, DEADLINE_EXCEEDED (both `unknown`)
 */
export async function runUnheeded<T>(
  binding: MongoBinding,
  { call, what, userMs }: { readonly call: Call; readonly what: string; readonly userMs: number | undefined },
  run: (target: MongoTarget, limit: TimeLimit) => Promise<T>,
): Promise<T> {
  const cut = Promise.withResolvers<never>()
  const settled = new AbortController()
  const sent = binding.statement(what, target => {
    const limit = timeLimit(call.door.settings.operationTimeoutMs, userMs, target.deadline)
    const { activity } = target
    const late = () =>
      cut.reject(givenUp(undefined, { what: whatOf(call), activity, limit, outcomeAtLimit: 'unknown' }))
    sleep(limit.ms + graceMs, undefined, { signal: settled.signal }).then(late, () => {})
    return run(target, limit)
  })
  try {
    return await Promise.race([sent, cut.promise])
  } finally {
    settled.abort()
  }
}
