import type { Outbox } from '@strata/consistency/outbox'
import type { DbContext } from '@strata/db-context'
import { hasCode } from '@strata/db-context'
import type { BoundCollection, MongoDatasource } from '@strata/mongo'
import type { HandlerInput, HandlerResult, JobDefinition, JobInput, JobResult, Queues } from '@strata/queue'
import { until } from '@strata/testkit'
import type { Collection, MongoClient } from 'mongodb'
import type { BeforeGate } from '../outcome.ts'
import type { Settings } from '../settings.ts'
import type { Gates } from './gates.ts'
import type { Limits } from './limits.ts'
import type { Victim } from './messages.ts'

/** The one kind of document that the scenarios write. */
export interface LabDocument {
  readonly _id: string
  readonly writes: number
}

/** Takes the handlers of a scenario's jobs. */
export interface Handlers {
  handle<J extends JobDefinition>(job: J, handler: (input: HandlerInput<J>) => Promise<HandlerResult<J>>): void
}

/** What a stage tells the lab. */
export interface StageReports {
  /** A call was refused with a typed error after so many milliseconds. */
  refused(ms: number): void
  beforeGate(standing: BeforeGate): void
  /** Has something killed as a crash would; the gate opens in every process that is left when it is gone. */
  kill(victim: Victim, gate: string): void
  /** Has this process stopped for so long, as a pause of its machine would; the gate opens in every process when it goes on. */
  pause(ms: number, gate: string): void
}

export interface StageParts {
  readonly process: string
  readonly settings: Settings
  readonly limits: Limits
  readonly db: DbContext
  readonly queues: Queues
  readonly datasource: MongoDatasource
  readonly outbox: Outbox | undefined
  readonly documents: BoundCollection<LabDocument>
  readonly raw: Collection<LabDocument>
  readonly rawClient: MongoClient
  readonly gates: Gates
  readonly report: StageReports
}

/** One process's part of a run, as the scenarios see it: the product's verbs, with the run's bounds and names. */
export class Stage {
  /** The name of this process; one that replaces another has that one's. */
  readonly process: string
  readonly settings: Settings
  readonly limits: Limits
  readonly db: DbContext
  readonly queues: Queues
  readonly datasource: MongoDatasource
  /** With levels, in scenarios about it. */
  readonly outbox: Outbox | undefined
  /** Bound to the level and transaction of the calling code. */
  readonly documents: BoundCollection<LabDocument>
  /** The same collection by the raw driver, on a connection of its own: for set-up and gates only. */
  readonly raw: Collection<LabDocument>
  readonly rawClient: MongoClient
  readonly gates: Gates
  readonly report: StageReports
  /** The roots that have ended in this process. */
  readonly ended = new Set<number>()
  /** What the scenario counts, by name. */
  readonly counts = new Map<string, number>()
  /** The root of each unit of work begun here, by the id of its chain. */
  readonly units = new Map<string, number>()
  /** What the scenario itself has begun in this process; stopped before all else. */
  readonly begun = new AsyncDisposableStack()

  constructor(parts: StageParts) {
    this.process = parts.process
    this.settings = parts.settings
    this.limits = parts.limits
    this.db = parts.db
    this.queues = parts.queues
    this.datasource = parts.datasource
    this.outbox = parts.outbox
    this.documents = parts.documents
    this.raw = parts.raw
    this.rawClient = parts.rawClient
    this.gates = parts.gates
    this.report = parts.report
  }

  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  /** Keeps the longest time of this name, in milliseconds. */
  longest(name: string, ms: number): void {
    this.counts.set(name, Math.max(this.counts.get(name) ?? 0, Math.ceil(ms)))
  }

  /** Runs a unit of work of this root; a root may have several. */
  unit<T>(root: number, body: () => Promise<T>): Promise<T> {
    const named = (): Promise<T> => {
      this.units.set(this.db.current.chain[0].id, root)
      return body()
    }
    return this.db.run(named, { name: `root-${root}` })
  }

  transaction<T>(body: () => Promise<T>): Promise<T> {
    return this.db.transaction.begin(body, { deadlineMs: this.limits.transactionMs })
  }

  call<J extends JobDefinition>(job: J, input: JobInput<J>, level?: number): Promise<JobResult<J>> {
    const dbInfo = level === undefined ? {} : { dbInfo: { level } }
    return this.queues.pushAsync(job, input, { deadlineMs: this.limits.waitMs, ...dbInfo })
  }

  /** Makes a call that is to be refused with `code`, and tells how long the refusal took. */
  async refusedCall<T>(code: string, call: () => Promise<T>): Promise<T> {
    const begun = performance.now()
    try {
      return await call()
    } catch (error) {
      if (hasCode(error, code)) this.report.refused(performance.now() - begun)
      throw error
    }
  }

  /** Adds 1 to a document that exists. */
  async write(id: string): Promise<void> {
    await this.documents.updateOne({ _id: id }, { $inc: { writes: 1 } })
  }

  /** Adds 1 to a document that exists; opens the gate when the write is under way. */
  writeThenOpen(id: string, gate: string): Promise<void> {
    return this.openWhenUnderWay(gate, () => this.write(id))
  }

  /**
   * Makes a write, and opens the gate when it is under way: it waits for a connection or for the document, so that whatever
   * comes after the gate comes behind it.
   */
  async openWhenUnderWay(gate: string, write: () => Promise<unknown>): Promise<void> {
    const chain = this.db.current.chain
    const unit = chain[chain.length - 1]?.id
    let isDone = false
    const written = write().finally(() => {
      isDone = true
    })
    const isUnderWay = (): boolean => isDone || this.db.activities().some(activity => activity.unit === unit)
    const opened = until(isUnderWay, {
      deadlineMs: this.limits.waitMs,
      message: `the write before ${gate}`,
      everyMs: 1,
    })
    await Promise.all([written, opened.then(() => this.gates.open(gate))])
  }
}
