import type { Collection, Document } from 'mongodb'
import { beginBulk } from '../bulk/bulk.ts'
import { openCursor } from '../cursor/open-cursor.ts'
import type { Door, MongoBinding } from '../door.ts'
import { mongoError } from '../errors.ts'
import { createClient } from '../pool/client.ts'
import { type Call, type GivenOptions, refuseSession, runStatement, whatOf } from '../statement/call.ts'
import { isSliceable, runSliced } from '../write/sliced-write.ts'
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
  #description: Collection<Document> | undefined

  constructor(door: Door, name: string) {
    this.#door = door
    this.#name = name
  }

  static call(members: Members, method: string, { spec, args }: { spec: Method; args: readonly unknown[] }): unknown {
    const optionsAt = ('options' in spec ? spec.options : undefined) ?? args.length
    const options = args[optionsAt] as GivenOptions | undefined
    const door = members.#door
    return run({ door, collection: members.#name, method, spec, args, optionsAt, options })
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
  Object.defineProperty(
    Members.prototype,
    method,
    spec.kind === 'property'
      ? {
          get(this: Members) {
            return Reflect.get(Members.describe(this), method)
          },
        }
      : {
          value(this: Members, ...args: unknown[]) {
            return Members.call(this, method, { spec, args })
          },
        },
  )
}

function run(call: Call): unknown {
  switch (call.spec.kind) {
    case 'statement':
      return runBound(call)
    case 'write-one':
      return runWrite(call)
    case 'bulk':
      return beginBulk(bind(call), call)
    case 'cursor':
      return openCursor(bind(call), call)
    default:
      throw refuse(call)
  }
}

/** Async, so that a refusal is a rejection; it binds before its first await, which is at the call. */
async function runBound(call: Call): Promise<unknown> {
  return await runStatement(bind(call), call)
}

async function runWrite(call: Call): Promise<unknown> {
  const binding = bind(call)
  return await (isSliceable(binding, call) ? runSliced(binding, call) : runStatement(binding, call))
}

function bind(call: Call): MongoBinding {
  refuseSession(call.options, whatOf(call))
  return call.door.bind()
}

function refuse(call: Call) {
  return mongoError('SERVICE_ONLY', `${whatOf(call)} is not reachable here: see the service door of its datasource`, {
    details: { what: whatOf(call) },
  })
}
