import { createHash } from 'node:crypto'
import { consistencyError } from '../errors.ts'
import type { Lease } from './lease.ts'

export interface FenceOptions {
  /** The keys that guard the document; default all of the lease. Writers of one document are guarded if they have a key in common. */
  readonly keys?: readonly string[]
  /** The field of the document that keeps the largest token seen, for each key; default `fence`. */
  readonly field?: string
}

/** What makes one write refuse an older token, in the same statement. */
export interface Fence {
  /** For the write's filter: matches a document that no newer lease has written. */
  readonly filter: object
  /** The update, with this lease's tokens kept in the document: of operators, or a pipeline. @throws LOCK_FENCE_INVALID */
  update<U extends object>(update: U): U
  /** Passes on the result of a guarded write: counts, or the document found. @throws LOCK_FENCED where it matched nothing */
  check<R>(result: R): NonNullable<R>
}

/**
 * Guards writes by a lease: `updateOne({ _id, ...fence.filter }, fence.update({ $set: … }))`.
 *
 * Guaranteed: once a write under a newer lease of one of the keys has been applied to a document, no write under an older one is, whenever it
 * arrives. Not guaranteed: anything of writes that do not use it, nor of a document that was deleted and made anew, which has forgotten its
 * tokens. Do not upsert with it: where the document has a newer token that ends in a duplicate key.
 *
 * @throws LOCK_LOST for a lease that is over, LOCK_KEYS_INVALID, LOCK_FENCE_INVALID
 */
export function fenced(lease: Lease, { keys = lease.keys, field = 'fence' }: FenceOptions = {}): Fence {
  lease.signal.throwIfAborted()
  if (!lease.isHeld) throw released(lease)
  if (!/^[A-Za-z_]\w{0,63}$/.test(field)) throw invalid(`Field ${field.slice(0, 100)} is no name of letters and digits`)
  const tokens = Object.fromEntries(keys.map(key => [`${field}.${nameOf(key)}`, lease.tokenOf(key)]))
  const isNewer = Object.entries(tokens).map(([path, token]) => [path, { $not: { $gt: token } }])
  return {
    filter: Object.fromEntries(isNewer),
    update: update => withTokens(update, tokens),
    check: result => {
      if (isMatched(result)) return result
      throw fencedOff(keys, tokens)
    },
  }
}

function isMatched<R>(result: R): result is NonNullable<R> {
  if (typeof result !== 'object' || result === null) return false
  const { matchedCount, deletedCount } = result as { readonly matchedCount?: unknown; readonly deletedCount?: unknown }
  return matchedCount !== 0 && deletedCount !== 0
}

function withTokens<U extends object>(update: U, tokens: Readonly<Record<string, number>>): U {
  if (Array.isArray(update)) return [...update, { $set: tokens }] as unknown as U
  const operators = Object.keys(update)
  if (operators.length === 0 || operators.some(name => !name.startsWith('$'))) {
    throw invalid('A guarded update has operators, or is a pipeline: a whole document would replace its tokens')
  }
  const { $max } = update as { readonly $max?: object }
  return { ...update, $max: { ...$max, ...tokens } }
}

/** A key as the name of a field: itself where it can be one. */
function nameOf(key: string): string {
  if (/^[A-Za-z0-9][\w-]{0,63}$/.test(key)) return key
  return `~${createHash('sha256').update(key).digest('base64url').slice(0, 22)}`
}

const invalid = (message: string) => consistencyError('LOCK_FENCE_INVALID', `${message}: nothing was written`)

const released = ({ keys }: Lease) =>
  consistencyError('LOCK_LOST', `Lease on ${keys.join(', ')} was released: nothing was written`, {
    outcome: 'not-applied',
    details: { keys, reason: 'released' },
  })

const fencedOff = (keys: readonly string[], tokens: Readonly<Record<string, number>>) =>
  consistencyError(
    'LOCK_FENCED',
    `Guarded write under ${keys.join(', ')} matched nothing: a newer lease has written the document, or it is not there`,
    { details: { keys, tokens } },
  )
