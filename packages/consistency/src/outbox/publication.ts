import { StrataError } from '@strata/db-context'
import { observePublished, setAsideCount } from './metrics.ts'
import type { Publisher } from './port.ts'
import { checkRow, type Row } from './row.ts'
import type { Store } from './store.ts'

/** A row that the queue refuses this often while it takes others is set aside; a queue that takes none is down, and nobody's fault. */
const triesMax = 10

/** What became of rows that were to be published. */
export interface Published {
  readonly published: readonly Row[]
  readonly setAside: readonly Row[]
  /** Why another row is to be tried again. */
  readonly error?: Error
}

const nothing: Published = { published: [], setAside: [] }

/** Sends rows and notes in each what became of it: after sending, so that a crash in between sends it again and loses nothing. */
export class Publication {
  readonly #store: Store
  readonly #publisher: Publisher

  constructor(store: Store, publisher: Publisher) {
    this.#store = store
    this.#publisher = publisher
  }

  /** Rows of one key come in its order; what comes after one that is not published is left for another time. */
  async publish(rows: readonly Row[]): Promise<Published> {
    if (rows.length === 0) return nothing
    const { sound, faults } = sift(rows)
    const errors = sound.length === 0 ? [] : await this.#publisher.publish(sound)
    const published = sound.filter((_, index) => errors[index] === undefined)
    await this.#store.markPublished(published.map(({ _id }) => _id))
    observePublished(published)
    const stuck = new Set<string>()
    for (const [index, row] of sound.entries()) {
      const error = errors[index]
      if (error === undefined || stuck.has(row.key ?? '')) continue
      if (row.key !== undefined) stuck.add(row.key)
      if (await this.#isRefused(row, error, published.length > 0)) faults.set(row, error)
    }
    for (const [row, error] of faults) await this.#setAside(row, error)
    const error = sound.map((row, index) => (faults.has(row) ? undefined : errors[index])).find(found => found)
    return { published, setAside: [...faults.keys()], ...(error && { error }) }
  }

  async ended(rows: readonly Row[]): Promise<readonly boolean[]> {
    return rows.length === 0 ? [] : await this.#publisher.ended(rows)
  }

  async #isRefused(row: Row, error: Error, othersPassed: boolean): Promise<boolean> {
    if (error instanceof StrataError && error.outcome === 'not-applied' && !error.transient) return true
    return othersPassed && (await this.#store.noteTry(row._id)) >= triesMax
  }

  async #setAside(row: Row, error: Error): Promise<void> {
    const code = 'code' in error ? String(error.code) : error.name
    await this.#store.setAside(row._id, { code, message: error.message.slice(0, 2000) })
    setAsideCount.add(1, { job: String(row.job), code })
  }
}

/** Rows that can be published as far as anybody can see, without those that come after a faulty one of their key. */
function sift(rows: readonly Row[]): { readonly sound: readonly Row[]; readonly faults: Map<Row, Error> } {
  const faults = new Map<Row, Error>()
  const stuck = new Set<string>()
  const sound = rows.filter(row => {
    if (row.key !== undefined && stuck.has(row.key)) return false
    const fault = checkRow(row)
    if (!fault) return true
    faults.set(row, fault)
    if (row.key !== undefined) stuck.add(row.key)
    return false
  })
  return { sound, faults }
}

/**
 * Of the rows of each key, in its order, those that may be published now: all that are in a row from the first that is not published,
 * as far as none is set aside and none has to wait for the end of the job before it.
 */
export async function publishable(
  { store, publication }: { readonly store: Store; readonly publication: Publication },
  keys: readonly (readonly Row[])[],
): Promise<Row[]> {
  const starts = keys.map(rows => rows.slice(0, startOf(rows)))
  const ordered = starts.map(([head]) => head).filter(head => head?.ordered)
  const held = await heldBack(
    { store, publication },
    ordered.filter(head => head !== undefined),
  )
  return starts.filter(([head]) => head && !held.has(head._id)).flat()
}

/** How many rows can go together: up to the first that is set aside, or that has to wait for one before it here. */
function startOf(rows: readonly Row[]): number {
  const end = rows.findIndex(({ state, ordered }, index) => state !== 'pending' || (ordered === true && index > 0))
  return end < 0 ? rows.length : end
}

/** Those whose key's job before them has not ended. */
async function heldBack(
  { store, publication }: { readonly store: Store; readonly publication: Publication },
  heads: readonly Row[],
): Promise<ReadonlySet<string>> {
  const found = await Promise.all(heads.map(async head => ({ head, last: await store.lastOf(head) })))
  const after = found.flatMap(({ head, last }) => (last ? [{ head, last }] : []))
  const ended = await publication.ended(after.map(({ last }) => last))
  return new Set(after.filter((_, index) => ended[index] !== true).map(({ head }) => head._id))
}
