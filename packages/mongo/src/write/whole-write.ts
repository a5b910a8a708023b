import type { MongoBinding } from '../door.ts'
import { type Call, invoke, send, whatOf } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import { turnOf } from './turn-of.ts'
import { Writing } from './writing.ts'

/**
 * Runs a write that is sent once: in a transaction, of several documents, or where a blocked one cannot let go. Outside a
 * transaction it would wait for as long as an operation may, so one that is sure to wait for nothing is refused before.
 */
export function runWhole(binding: MongoBinding, call: Call): Promise<unknown> {
  const writing = new Writing(binding, call)
  if (!binding.transaction) writing.check()
  return binding.statement(whatOf(call), async target => {
    if (target.transaction) {
      const turn = turnOf(call, target)
      target.transaction.onEnd(turn instanceof Promise ? await turn : turn)
    }
    const limit = timeLimit(call.door.settings.operationTimeoutMs, call.options?.maxTimeMS, target.deadline)
    try {
      const result = await send(call, { target, limit, run: () => invoke(call, target, limit) })
      writing.done(result)
      return result
    } catch (error) {
      throw binding.transaction ? writing.explain(error) : error
    }
  })
}
