import type { Outcome, StatementTarget } from '@strata/db-context'
import type { Collection, Document } from 'mongodb'
import { noteUnsent } from '../classify.ts'
import { type Effect, effectOf, type Method } from '../collection/methods.ts'
import type { Door, MongoBinding } from '../door.ts'
import { mongoError } from '../errors.ts'
import { measured } from '../metrics.ts'
import type { MongoPool } from '../pool/pool.ts'
import type { MongoTransaction } from '../pool/transaction.ts'
import { type TimeLimit, translate } from '../translate.ts'
import { timeLimit } from './limit.ts'

export type MongoTarget = StatementTarget<MongoPool, MongoTransaction>

/** The options of an operation as far as they are read here. */
export interface GivenOptions {
  readonly session?: unknown
  readonly maxTimeMS?: number
  readonly [option: string]: unknown
}

/** One operation as its caller wrote it. */
export interface Call {
  readonly door: Door
  /** The name of the collection. */
  readonly collection: string
  /** The same with its database. */
  readonly namespace: string
  readonly method: string
  readonly spec: Method
  readonly args: readonly unknown[]
  /** The index of the options among the arguments. */
  readonly optionsAt: number
  readonly options: GivenOptions | undefined
}

export const whatOf = ({ collection, method }: Call): string => `${collection}.${method}`

/** @throws SESSION_REFUSED */
export function refuseSession(options: GivenOptions | undefined, what: string): void {
  if (options?.session === undefined) return
  throw mongoError(
    'SESSION_REFUSED',
    `Operation ${what} was given a session: leave it out, the transaction around the call is used`,
    { details: { what } },
  )
}

/** Runs a call as one statement of its binding. */
export function runStatement(binding: MongoBinding, call: Call): Promise<unknown> {
  return binding.statement(whatOf(call), target => {
    const { operationTimeoutMs } = call.door.settings
    const limit = timeLimit(operationTimeoutMs, call.options?.maxTimeMS, target.deadline)
    return send(call, { target, limit, run: () => invoke(call, target, limit) })
  })
}

export interface Sending<T> {
  readonly target: MongoTarget
  readonly limit: TimeLimit
  readonly run: () => Promise<T>
  /** What it may change, where that is not what its method says. */
  readonly effect?: Effect
}

/** Lets the driver send something for a call, and gives the bounds that it may meet their own errors. */
export async function send<T>(call: Call, { target, limit, run, effect }: Sending<T>): Promise<T> {
  try {
    return await measured(call, target.activity, () => target.pool.send(target.activity, run))
  } catch (error) {
    if (target.transaction) noteUnsent(error)
    throw translate(error, {
      what: whatOf(call),
      activity: target.activity,
      limit,
      outcomeAtLimit: outcomeAtLimit(effect ?? effectOf(call.spec), target),
    })
  }
}

/**
 * What became of an operation that the server gave up at its time limit. A transaction is rolled back with it; else of
 * several documents some may be written, and one document by a shard whose answer came too late for its router.
 */
function outcomeAtLimit(effect: Effect, { transaction, pool }: MongoTarget): Outcome {
  if (effect === 'read' || transaction) return 'not-applied'
  return effect === 'one' && pool.topology === 'replica-set' ? 'not-applied' : 'unknown'
}

/** Calls the driver's method with the session of the target and this limit; its errors come as they are. */
export function invoke(call: Call, target: MongoTarget, limit: TimeLimit): Promise<unknown> {
  const collection = target.pool.collection(call.door.settings.database, call.collection)
  const args = call.args.slice()
  const session = target.transaction?.session
  args[call.optionsAt] = session
    ? { ...call.options, maxTimeMS: limit.ms, session }
    : { ...call.options, maxTimeMS: limit.ms }
  return methodOf(collection, call.method)(...args) as Promise<unknown>
}

/** A method of the driver's collection by name, ready to be called. */
export function methodOf(collection: Collection<Document>, name: string): (...args: unknown[]) => unknown {
  const method = (collection as unknown as Methods)[name]
  if (typeof method !== 'function') throw new TypeError(`Driver has no ${name}`)
  // Not bind, which costs 4 µs a call here.
  return (...args) => method.apply(collection, args)
}

type Methods = Record<string, ((...args: unknown[]) => unknown) | undefined>
