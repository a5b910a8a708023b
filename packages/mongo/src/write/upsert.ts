import { randomUUID } from 'node:crypto'
import { deadlineIn, hasCode } from '@strata/db-context'
import type { Document } from 'mongodb'
import { classify, codeOf } from '../classify.ts'
import type { MongoBinding } from '../door.ts'
import { type Call, invoke, type MongoTarget, send, whatOf } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import { isUnacknowledged } from './acknowledged.ts'
import { Tries } from './tries.ts'
import { Writing } from './writing.ts'

const duplicateKey = 11_000

/** One that lost its race finds the document there at its next try; an update that moves the key away never does. */
const racesMax = 10

/** True for an upsert of one document outside a transaction whose answer is awaited. */
export function isLoneUpsert({ transaction }: MongoBinding, { door, options }: Call): boolean {
  if (transaction || !door.scope.isolated || options?.['upsert'] !== true) return false
  return !(options['explain'] || isUnacknowledged(options))
}

/**
 * Sends an upsert as a transaction of one statement. As a plain write it would, blocked by a key that an open transaction has
 * inserted, heed neither its time limit nor `killOp`, and keep its connection and a write ticket until that transaction
 * ends. In a transaction it fails at once, and is sent again from here with nothing kept in between.
 *
 * @throws LOCK_TIMEOUT after `lockWaitMs`, DEADLINE_EXCEEDED, OPERATION_TIMEOUT (all `not-applied`), COMMIT_UNKNOWN
 */
export async function runUpsert(binding: MongoBinding, call: Call): Promise<unknown> {
  const { lockWaitMs } = call.door.scope
  const wait = binding.poolWait?.()
  const tries = new Tries({ what: whatOf(call), lockWaitMs, userMs: call.options?.maxTimeMS, wait })
  const writing = new Writing(binding, call)
  for (let races = 0; ; ) {
    const run = await binding.statement(whatOf(call), target => sendUpsert(call, target), wait)
    if ('value' in run) {
      writing.done(run.value)
      return run.value
    }
    const { error } = run
    if (isRace(call, error)) {
      races += 1
      if (races > racesMax) throw error
    } else await nextTry(tries, writing, error)
  }
}

/** @throws ANCESTOR_LOCK, LOCK_BLOCKED, LOCK_TIMEOUT */
async function nextTry(tries: Tries, writing: Writing, error: unknown): Promise<void> {
  const kind = classify(error)
  const { blockedMs } = tries
  const end = kind.conflict && writing.heldUp({ blockedMs, isOver: false, cause: error })
  if (end) throw end
  try {
    await tries.next(error, kind)
  } catch (refusal) {
    const { cause } = refusal as { readonly cause?: unknown }
    throw (hasCode(refusal, 'LOCK_TIMEOUT') && writing.heldUp({ blockedMs, isOver: true, cause })) || refusal
  }
}

type Run = { readonly value: unknown } | { readonly error: unknown }

async function sendUpsert(call: Call, target: MongoTarget): Promise<Run> {
  const { operationTimeoutMs } = call.door.settings
  const limit = timeLimit(operationTimeoutMs, call.options?.maxTimeMS, target.deadline)
  const deadline = Math.min(target.deadline, deadlineIn(operationTimeoutMs))
  const transaction = target.pool.begin({ id: randomUUID(), deadline, activity: target.activity })
  const inside = { ...target, transaction }
  try {
    await transaction.ready()
    const value = await send(call, { target: inside, limit, run: () => invoke(outsideOf(call), inside, limit) })
    await transaction.commit()
    return { value }
  } catch (error) {
    // What may be committed must not be sent again, whatever kept the answer away.
    const isOver = hasCode(error, 'COMMIT_UNKNOWN') || !(classify(error).transient || isRace(call, error))
    if (isOver) throw error
    return { error }
  } finally {
    await transaction.end()
  }
}

/** The driver takes no write concern inside a transaction; the transaction has majority's, the strongest but a number. */
function outsideOf(call: Call): Call {
  const { writeConcern, ...options } = call.options ?? {}
  return { ...call, options }
}

/**
 * True when two upserts of one unique key have both found nothing: the server sends such again by itself outside
 * transactions, when the filter is nothing but the key.
 *
 * @see https://www.mongodb.com/docs/manual/reference/method/db.collection.update/#upsert-with-duplicate-values
 */
function isRace({ args }: Call, error: unknown): boolean {
  if (codeOf(error) !== duplicateKey) return false
  const { keyPattern } = error as { readonly keyPattern?: Document }
  const filter = args[0]
  if (!keyPattern || typeof filter !== 'object' || filter === null) return false
  const fields = Object.keys(filter)
  const key = Object.keys(keyPattern)
  return fields.length === key.length && key.every(field => field in filter && isEquality(Reflect.get(filter, field)))
}

function isEquality(condition: unknown): boolean {
  if (condition instanceof RegExp) return false
  if (typeof condition !== 'object' || condition === null || '_bsontype' in condition) return true
  return Object.keys(condition).every(name => name === '$eq' || !name.startsWith('$'))
}
