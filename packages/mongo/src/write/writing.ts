import { type DocumentSet, hasCode } from '@strata/db-context'
import { classify, codeOf, hasLabel, hasName } from '../classify.ts'
import { effectOf } from '../collection/methods.ts'
import type { MongoBinding } from '../door.ts'
import { type Call, whatOf } from '../statement/call.ts'
import { idText, type Named, namedBy } from './named.ts'

const writeConflict = 112

/**
 * To be called with the error of a write: outside a transaction one that may be applied all the same counts as an effect, and one
 * that a document held up may be what others wait for.
 */
export function noteEnd(binding: MongoBinding, call: Call, error: unknown): void {
  if (binding.transaction) return
  if (hasCode(error, 'LOCK_TIMEOUT') && error.outcome === 'not-applied') binding.heldUp?.(error)
  if (!isRefused(call, error)) noteWrite(binding, call)
}

/**
 * True where nothing was written for sure: one of ours says so, or a write of one document was refused, by the driver as what it
 * cannot send or by the server. Of several documents some may have been written before the one that was refused.
 */
function isRefused({ spec }: Call, error: unknown): boolean {
  if (error instanceof Error && 'outcome' in error) return error.outcome === 'not-applied'
  return effectOf(spec) === 'one' && (isRefusedByDriver(error) || isRefusedByServer(error))
}

const refusals = ['BSONError', 'BSONVersionError', 'BSONRuntimeError', 'MongoInvalidArgumentError']
const isRefusedByDriver = (error: unknown) => refusals.some(name => hasName(error, name))

/** Not what an election or a network says, whose first try may have been applied, nor a majority that did not confirm. */
const isRefusedByServer = (error: unknown) =>
  hasName(error, 'MongoServerError') && !classify(error).transient && !hasLabel(error, 'RetryableWriteError')

/** Tells that a collection is written, by something that does not say which documents. */
export function noteWrite(binding: MongoBinding, { namespace }: Pick<Call, 'namespace'>): void {
  binding.wrote?.({ collection: namespace, ids: [], isComplete: false })
}

/** How a write is held up. */
export interface HeldUp {
  readonly blockedMs: number
  readonly isOver: boolean
  readonly cause: unknown
}

/** One write as its context hears of it: what it has changed, and what keeps it waiting. */
export class Writing {
  readonly #binding: MongoBinding
  readonly #call: Call
  readonly #areNew: boolean
  readonly #named: (() => Named) | undefined

  /** `named` where the call's own arguments do not tell. */
  constructor(binding: MongoBinding, call: Call, named?: () => Named) {
    this.#binding = binding
    this.#call = call
    this.#named = named
    this.#areNew = call.method.startsWith('insert') && named === undefined && namedBy(call).ids.length === 0
  }

  /** To be called with the driver's result. */
  done(result: unknown): void {
    const { transaction } = this.#binding
    // What stands alone holds nothing any more: its documents need not be told apart.
    const named = transaction ? this.#changed(result) : unnamed
    if (!named) return
    const { ids, isComplete } = named
    this.#binding.wrote?.({ collection: this.#call.namespace, ids, isComplete, areNew: this.#areNew })
  }

  /** The error that a write which others hold up has to end with now. */
  heldUp(how: HeldUp): Error | undefined {
    return this.#binding.blocked?.({ ...how, what: whatOf(this.#call), documents: this.#set(this.#all()) })
  }

  /** Refuses what is sure to wait for a transaction that waits for it. @throws ANCESTOR_LOCK */
  check(): void {
    const refusal = this.heldUp({ blockedMs: 0, isOver: false, cause: undefined })
    if (refusal) throw refusal
  }

  /** A conflict that no retry ends is told as what it is; other errors come as they are. */
  explain(error: unknown): unknown {
    if (codeOf(error) !== writeConflict) return error
    return this.heldUp({ blockedMs: 0, isOver: false, cause: error }) ?? error
  }

  #all(): Named {
    return this.#named?.() ?? namedBy(this.#call)
  }

  #set({ ids, isComplete }: Named): DocumentSet {
    return { collection: this.#call.namespace, ids, isComplete }
  }

  /** Undefined where nothing was. */
  #changed(result: unknown): Named | undefined {
    const isFind = this.#call.method.startsWith('findOneAnd')
    // An upsert that asks for the document as it was gets none where it made one.
    if (!isRecord(result)) return isFind && this.#call.options?.['upsert'] !== true ? undefined : this.#all()
    if (isFind) return foundBy(result, this.#all())
    if (result['upsertedId'] != null) return { ids: [idText(result['upsertedId'])], isComplete: true }
    return result['matchedCount'] === 0 || result['deletedCount'] === 0 ? undefined : this.#all()
  }
}

const unnamed: Named = { ids: [], isComplete: false }

/** The document that a find-and-write gave back, or its reply if that was asked for. */
function foundBy(result: Record<string, unknown>, named: Named): Named {
  const document = 'lastErrorObject' in result ? result['value'] : result
  const id = isRecord(document) ? document['_id'] : undefined
  return named.isComplete || id === undefined ? named : { ids: [idText(id)], isComplete: true }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
