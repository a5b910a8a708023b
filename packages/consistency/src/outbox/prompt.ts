import { setTimeout as sleep } from 'node:timers/promises'
import { outside } from '../outside.ts'
import type { Report } from '../report.ts'
import { type Publication, publishable } from './publication.ts'
import type { Row } from './row.ts'
import type { Store } from './store.ts'

/** Rows that wait in memory, and characters of their data; more are left to the relay. */
const rowsMax = 10_000
const charactersMax = 32_000_000
const batchMax = 500

/** How long rows that have to wait for others of their key are tried here before they are left to the relay, and how often. */
const waitMsMax = 1000
const pauseMsFirst = 4
const pauseMsMax = 100

interface Waiting {
  readonly row: Row
  readonly since: number
}

export interface PromptOptions {
  readonly store: Store
  readonly publication: Publication
  readonly report: Report
}

/**
 * Publishes what transactions of this process have committed, right after, one batch at a time. Whatever does not work here is
 * left to the relay: it is in the database.
 */
export class Prompt {
  readonly #options: PromptOptions
  #waiting: Waiting[] = []
  #characters = 0
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(options: PromptOptions) {
    this.#options = options
  }

  add(rows: readonly Row[]): void {
    const characters = this.#characters + charactersOf(rows)
    if (this.#isStopped || this.#waiting.length + rows.length > rowsMax || characters > charactersMax) return
    this.#characters = characters
    const since = performance.now()
    for (const row of rows) this.#waiting.push({ row, since })
    this.#running ??= outside(() => this.#run())
  }

  /** Resolves when nothing is left to be published here. */
  async idle(): Promise<void> {
    await this.#running
  }

  stop(): void {
    this.#isStopped = true
    this.#waiting = []
  }

  async #run(): Promise<void> {
    let pauseMs = pauseMsFirst
    try {
      while (this.#waiting.length > 0 && !this.#isStopped) {
        const batch = this.#waiting.splice(0, batchMax)
        const { done, error } = await this.#publish(batch.map(({ row }) => row))
        if (error) return void this.#waiting.splice(0)
        const now = performance.now()
        const left = batch.filter(({ row, since }) => !done.has(row._id) && now - since < waitMsMax)
        this.#waiting.push(...left)
        this.#characters = charactersOf(this.#waiting.map(({ row }) => row))
        pauseMs = done.size > 0 ? pauseMsFirst : Math.min(pauseMs * 1.5, pauseMsMax)
        if (left.length === this.#waiting.length && left.length > 0) await sleep(pauseMs)
      }
    } catch (error) {
      this.#waiting = []
      this.#options.report(error, 'Publishing what was committed')
    } finally {
      if (this.#waiting.length === 0) this.#characters = 0
      this.#running = undefined
    }
  }

  async #publish(rows: readonly Row[]): Promise<{ done: ReadonlySet<string>; error: Error | undefined }> {
    const { publication, report } = this.#options
    const ready = [...rows.filter(({ key }) => key === undefined), ...(await this.#firstOfKeys(rows))]
    const { published, setAside, error } = await publication.publish(ready)
    if (error) report(error, 'Publishing what was committed')
    return { done: new Set([...published, ...setAside].map(({ _id }) => _id)), error }
  }

  /** As they are in the database: a process whose commit came before may not have published its own yet. */
  async #firstOfKeys(rows: readonly Row[]): Promise<Row[]> {
    const mine = new Map(rows.filter(({ key }) => key !== undefined).map(row => [row._id, row]))
    if (mine.size === 0) return []
    const keys = [...new Set([...mine.values()].map(({ key }) => key ?? ''))]
    const heads = await this.#options.store.heads(keys, batchMax * 2)
    const ofKeys = keys.map(key => {
      const ofKey = heads.filter(row => row.key === key)
      const others = ofKey.findIndex(({ _id }) => !mine.has(_id))
      return others < 0 ? ofKey : ofKey.slice(0, others)
    })
    return await publishable(this.#options, ofKeys)
  }
}

const charactersOf = (rows: readonly Row[]): number => rows.reduce((sum, { data }) => sum + data.length, 0)
