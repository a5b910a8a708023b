import { remainingMs } from '@strata/db-context'
import type { MongoBinding } from '../door.ts'
import { countSlice, measured } from '../metrics.ts'
import { type Call, invoke, type MongoTarget, whatOf } from '../statement/call.ts'
import { isTimeLimit, isUnconfirmed, type TimeLimit, translate } from '../translate.ts'
import { isUnacknowledged } from './acknowledged.ts'
import { confirm } from './confirm.ts'
import { afterSlice, nextSlice, notBegun, type Slice, type SliceProgress } from './slice.ts'
import { lockTimeout } from './tries.ts'

/**
 * True for a write that may be given up by the server and sent again: one document, outside a transaction, with its answer
 * awaited. Not behind a mongos or a load balancer, where one shard may have applied it when another gives up. Not an upsert,
 * which does not heed its time limit: it goes as a transaction of its own.
 */
export function isSliceable({ pool, transaction }: MongoBinding, { door, options }: Call): boolean {
  if (transaction || pool.topology !== 'replica-set' || !door.scope.isolated) return false
  return !(options?.['upsert'] || options?.['explain'] || isUnacknowledged(options))
}

/**
 * Sends a write in slices until the document it waits for comes free. Each slice is a statement of its own, so the
 * connection goes back in between and the write queues again behind those that came meanwhile: were it kept, the commit
 * that frees the document could starve behind it.
 *
 * @throws LOCK_TIMEOUT after `lockWaitMs` of the server's time, DEADLINE_EXCEEDED, OPERATION_TIMEOUT (all `not-applied`)
 */
export async function runSliced(binding: MongoBinding, call: Call): Promise<unknown> {
  let progress = notBegun
  const wait = binding.poolWait?.()
  for (;;) {
    const run = await binding.statement(whatOf(call), target => sendSlice(call, target, progress), wait)
    if ('value' in run) return run.value
    progress = run.progress
  }
}

type SliceRun = { readonly value: unknown } | { readonly progress: SliceProgress }

async function sendSlice(call: Call, target: MongoTarget, progress: SliceProgress): Promise<SliceRun> {
  const { door, options } = call
  const bounds = {
    lockWaitMs: door.scope.lockWaitMs,
    operationMs: door.settings.operationTimeoutMs,
    userMs: options?.maxTimeMS,
  }
  const slice = nextSlice(progress, bounds, remainingMs(target.deadline))
  const limit: TimeLimit = { ms: slice.ms, of: limitOf(slice) }
  const { election } = target.pool
  try {
    const run = () => target.pool.send(target.activity, () => invoke(call, target, limit))
    return { value: await measured(call, target.activity, run) }
  } catch (error) {
    if (isUnconfirmed(error)) return { value: await confirm(call, target, { error, election }) }
    if (isTimeLimit(error) && (slice.onExpiry === 'again' || slice.onExpiry === 'lock')) {
      countSlice(call, target.activity, slice.onExpiry)
      if (slice.onExpiry === 'lock')
        throw lockTimeout({ what: whatOf(call), lockWaitMs: bounds.lockWaitMs, cause: error })
      return { progress: afterSlice(progress, slice) }
    }
    throw translate(error, { what: whatOf(call), activity: target.activity, limit, outcomeAtLimit: 'not-applied' })
  }
}

const limitOf = ({ onExpiry }: Slice): TimeLimit['of'] =>
  onExpiry === 'user' || onExpiry === 'deadline' ? onExpiry : 'operation'
