import { dbContextError } from './registry.ts'

/** Where one collection is held across a wait, and where it is written, as far as this process has seen. */
export interface LockLevel {
  readonly collection: string
  /** The levels of transactions that wrote it and awaited deeper work before they ended. */
  readonly held: readonly number[]
  /** The levels of writes of documents that may be there already. */
  readonly written: readonly number[]
  /** False when it is written deeper than it is held: then a transaction may wait for work that waits for it. */
  readonly isOrdered: boolean
}

interface Levels {
  readonly held: Set<number>
  readonly written: Set<number>
  isReported: boolean
}

const collectionsMax = 10_000

/**
 * The order of documents, learned from what runs: reports a collection once, when it is written at a deeper level than one
 * at which transactions hold it across a wait. That comes before anything hangs, in a test with a single caller too; by
 * collection and not by document, because the second document is another in production.
 */
export class LockLevels {
  readonly #collections = new Map<string, Levels>()
  readonly #report: (error: unknown, what: string) => void

  constructor(report: (error: unknown, what: string) => void) {
    this.#report = report
  }

  held(collection: string, level: number): void {
    const levels = this.#of(collection)
    if (!levels || levels.held.has(level)) return
    levels.held.add(level)
    this.#check(collection, levels)
  }

  written(collection: string, level: number): void {
    const levels = this.#of(collection)
    if (!levels || levels.written.has(level)) return
    levels.written.add(level)
    this.#check(collection, levels)
  }

  all(): LockLevel[] {
    return [...this.#collections].map(([collection, { held, written }]) => ({
      collection,
      held: [...held].sort(ascending),
      written: [...written].sort(ascending),
      isOrdered: isOrdered({ held, written }),
    }))
  }

  #of(collection: string): Levels | undefined {
    if (isOurs(collection)) return undefined
    let levels = this.#collections.get(collection)
    if (!levels && this.#collections.size < collectionsMax) {
      levels = { held: new Set(), written: new Set(), isReported: false }
      this.#collections.set(collection, levels)
    }
    return levels
  }

  #check(collection: string, levels: Levels): void {
    if (levels.isReported || isOrdered(levels)) return
    levels.isReported = true
    const held = Math.min(...levels.held)
    const written = Math.max(...levels.written)
    const error = dbContextError(
      'LOCK_ORDER',
      `Collection ${collection} is written at level ${written}, and transactions of level ${held} write it before they await ` +
        'deeper work: sooner or later one waits for work that waits for it. Write it at one level only, or after the call',
      { outcome: 'applied', details: { collection, held, written } },
    )
    this.#report(error, 'Order of document locks')
  }
}

/**
 * Collections of Strata itself are written at every level and held across waits, on purpose: each of their documents belongs to one
 * piece of work, so that nobody else's waits for it.
 */
const isOurs = (collection: string) => collection.slice(collection.indexOf('.') + 1).startsWith('strata.')

const ascending = (a: number, b: number) => a - b

const isOrdered = ({ held, written }: Pick<Levels, 'held' | 'written'>) =>
  held.size === 0 || written.size === 0 || Math.max(...written) <= Math.min(...held)
