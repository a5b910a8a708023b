import type { Collection, Document } from 'mongodb'
import { beginBulk } from '../bulk/bulk.ts'
import { openCursor } from '../cursor/open-cursor.ts'
import type { Door, MongoBinding } from '../door.ts'
import { mongoError } from '../errors.ts'
import { createClient } from '../pool/client.ts'
import { defineCalled } from '../service/definition.ts'
import { type Call, type GivenOptions, invoke, refuseSession, runStatement, send, whatOf } from '../statement/call.ts'
import { isSliceable, runSliced } from '../write/sliced-write.ts'
import { hasUpsert, runUnheeded } from '../write/unheeded.ts'
import { isLoneUpsert, runUpsert } from '../write/upsert.ts'
import { runWhole } from '../write/whole-write.ts'
import { noteEnd, noteWrite, Writing } from '../write/writing.ts'
import type { BoundCollection } from './bound-collection.ts'
import { collectionMethods, type Method } from './methods.ts'

/** Makes a bound collection; its members come from the table of methods. */
export function bindCollection<T extends Document>(door: Door, name: string): BoundCollection<T> {
  // The one place where the table's members meet their types; a test holds the table against the driver's collection.
  return new Members(door, name) as unknown as BoundCollection<T>
}

/** What all bound collections have in common; the members of the table are added to its prototype below. */
class Members {
  readonly #door: Door
  readonly #name: string
  readonly #namespace: string
  #description: Collection<Document> | undefined

  constructor(door: Door, name: string) {
    this.#door = door
    this.#name = name
    this.#namespace = `${door.settings.database}.${name}`
  }

  static call(members: Members, method: string, { spec, args }: { spec: Method; args: readonly unknown[] }): unknown {
    const optionsAt = ('options' in spec ? spec.options : undefined) ?? args.length
    const options = args[optionsAt] as GivenOptions | undefined
    const door = members.#door
    const namespace = members.#namespace
    return run({ door, collection: members.#name, namespace, method, spec, args, optionsAt, options })
  }

  /** A collection of a client that never connects: it knows names and settings before there is any pool. */
  static describe(members: Members): Collection<Document> {
    const { settings } = members.#door
    members.#description ??= createClient(settings, { max: 1, min: 0, timeoutMs: 1, watched: false })
      .db(settings.database)
      .collection(members.#name)
    return members.#description
  }
}

for (const [method, spec] of Object.entries(collectionMethods)) {
  if (spec.kind === 'internal') continue
  const isProperty = spec.kind === 'property'
  Object.defineProperty(Members.prototype, method, isProperty ? propertyOf(method) : methodOf(method, spec))
}

function propertyOf(name: string): PropertyDescriptor & ThisType<Members> {
  return {
    get() {
      return Reflect.get(Members.describe(this), name)
    },
  }
}

function methodOf(name: string, spec: Method): PropertyDescriptor & ThisType<Members> {
  return {
    value(...args: unknown[]) {
      return Members.call(this, name, { spec, args })
    },
  }
}

function run(call: Call): unknown {
  switch (call.spec.kind) {
    case 'statement':
      return runBound(call)
    case 'write-one':
      return runWrite(call)
    case 'write-many':
      return runMany(call)
    case 'bulk':
      return beginBulk(bind(call), call)
    case 'cursor':
      return openRead(call)
    case 'definition':
      return call.door.isService ? runDefinition(call) : Promise.reject(refuse(call))
    case 'service':
      return call.door.isService ? runBound(call) : Promise.reject(refuse(call))
    case 'stream':
      return openStream(call)
    default:
      return Promise.reject(refuse(call))
  }
}

async function runDefinition(call: Call): Promise<unknown> {
  refuseSession(call.options, whatOf(call))
  return await defineCalled(call)
}

/** It binds at the call; a refusal is a rejection. Not async: a promise more for each read is 1 % of it. */
function runBound(call: Call): Promise<unknown> {
  try {
    return runStatement(bind(call), call)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** As {@link runBound}; what fails in a transaction is in no doubt. */
function runWrite(call: Call): Promise<unknown> {
  try {
    const binding = bind(call)
    return binding.transaction ? runWhole(binding, call) : runAlone(binding, call)
  } catch (error) {
    return Promise.reject(error)
  }
}

async function runAlone(binding: MongoBinding, call: Call): Promise<unknown> {
  try {
    if (isSliceable(binding, call)) return await runSliced(binding, call)
    return await (isLoneUpsert(binding, call) ? runUpsert(binding, call) : runWhole(binding, call))
  } catch (error) {
    noteEnd(binding, call, error)
    throw error
  }
}

/** An upsert among several writes heeds no limit; one statement of its own would part what the caller put together. */
async function runMany(call: Call): Promise<unknown> {
  const binding = bind(call)
  const isUnheeded = !binding.transaction && (call.options?.['upsert'] === true || hasUpsert(call.args[0]))
  try {
    return await (isUnheeded ? runMixed(binding, call) : runWhole(binding, call))
  } catch (error) {
    noteEnd(binding, call, error)
    throw error
  }
}

async function runMixed(binding: MongoBinding, call: Call): Promise<unknown> {
  const about = { call, what: whatOf(call), userMs: call.options?.maxTimeMS }
  const writing = new Writing(binding, call)
  writing.check()
  const result = await runUnheeded(binding, about, (target, limit) =>
    send(call, { target, limit, run: () => invoke(call, target, limit) }),
  )
  writing.done(result)
  return result
}

/** A cursor; an aggregation may write as well, when it is read. */
function openRead(call: Call): unknown {
  const binding = bind(call)
  const [pipeline] = call.args
  const last: unknown = call.method === 'aggregate' && Array.isArray(pipeline) ? pipeline.at(-1) : undefined
  if (typeof last === 'object' && last !== null && ('$out' in last || '$merge' in last)) noteWrite(binding, call)
  return openCursor(binding, call)
}

function bind(call: Call): MongoBinding {
  refuseSession(call.options, whatOf(call))
  return call.door.bind()
}

/** @throws SERVICE_ONLY, STREAM_LIMIT, SESSION_REFUSED */
function openStream(call: Call): unknown {
  if (!call.door.isService) throw refuse(call)
  const { pool } = bind(call)
  return pool.streams.open({ database: call.door.settings.database, collection: call.collection }, call.args)
}

function refuse(call: Call) {
  return mongoError('SERVICE_ONLY', `${whatOf(call)} is not reachable here: see the service door of its datasource`, {
    details: { what: whatOf(call) },
  })
}
