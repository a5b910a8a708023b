import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from '@strata/queue'
import { type Gate, gate, type Seed, seeded } from '@strata/testkit'
import { z } from 'zod'
import { countCodes, type StrangersEnd } from '../outcome.ts'
import { codeOf } from './error-code.ts'
import type { Handlers, Stage } from './stage.ts'

// Strangers have nothing to do with a scenario's hazard: they take the connections that it needs, the slots of its very queues, and
// block each other by documents of their own. By turns each one writes a document inside a transaction that awaits a job, writes the
// same documents plainly, and has a job write them: that one breaks the rule that nobody writes at a deeper level what a
// transaction has written before it waits.

const documentsPerLevel = 3
/** Short enough for a stranger in every slot, long enough to leave the processors to the scenario. */
const pauseMs = { min: 50, max: 150 }
const ownQueue = 'strangers'

const input = z.object({ document: z.string(), inTransaction: z.boolean() })
const strangerJob = (queue: string) => defineJob({ name: `stranger of ${queue}`, queue, input, output: z.object({}) })
type StrangerJob = ReturnType<typeof strangerJob>

const documentOf = (level: number, index: number): string => `stranger-${level}-${index % documentsPerLevel}`

/** What a stranger is busy with at one moment. */
interface Visit {
  readonly stage: Stage
  readonly job: StrangerJob
  readonly index: number
}

const kinds: readonly ((visit: Visit) => Promise<unknown>)[] = [
  ({ stage, job, index }) =>
    stage.transaction(async () => {
      await stage.write(documentOf(0, index))
      await stage.call(job, { document: documentOf(1, index), inTransaction: true })
    }),
  ({ stage, index }) => stage.write(documentOf(0, index)),
  // Behind a load balancer a blocked write keeps its connection: there strangers keep to the rule.
  ({ stage, job, index }) => {
    const level = stage.settings.topology === 'load-balanced' ? 1 : 0
    return stage.call(job, { document: documentOf(level, index), inTransaction: false })
  },
  ({ stage, index }) => stage.db.switchDbIsolate(() => stage.write(documentOf(1, index))),
]

/** The strangers of a run; they live in the process where its roots begin. */
export class Strangers {
  readonly #stage: Stage
  readonly #jobs: readonly StrangerJob[]
  readonly #seed: Seed
  readonly #lives: { readonly first: Gate; readonly end: Promise<void> }[] = []
  readonly #codes: string[] = []
  #rounds = 0
  #living = 0
  #isOver = false

  /** They have a job in each of these queues, and in one of their own. */
  constructor(stage: Stage, queues: readonly string[]) {
    this.#stage = stage
    this.#jobs = [...new Set([...queues, ownQueue])].map(strangerJob)
    this.#seed = seeded(stage.settings.seed)
  }

  /** Registers the handlers of their jobs. */
  work(handlers: Handlers): void {
    const stage = this.#stage
    for (const job of this.#jobs) {
      handlers.handle(job, async ({ document, inTransaction }) => {
        const write = () => stage.write(document)
        await (inTransaction ? stage.transaction(write) : write())
        return {}
      })
    }
  }

  /** Resolves when each of them has been round once. */
  async begin(): Promise<void> {
    const { settings, raw, limits } = this.#stage
    if (settings.strangers === 0) return
    const indexes = Array.from({ length: documentsPerLevel }, (_, index) => index)
    const ids = indexes.flatMap(index => [documentOf(0, index), documentOf(1, index)])
    await raw.insertMany(ids.map(_id => ({ _id, writes: 0 })))
    for (let index = 0; index < settings.strangers; index += 1) {
      const first = gate()
      this.#lives.push({ first, end: this.#live(index, first) })
    }
    await Promise.all(this.#lives.map(({ first }) => first.wait(limits.waitMs)))
  }

  /** Has them end their rounds, and waits for that no longer than `deadlineMs`. */
  async end(deadlineMs: number): Promise<StrangersEnd> {
    this.#isOver = true
    const over = new AbortController()
    const late = pause(deadlineMs, undefined, { signal: over.signal }).catch(() => {})
    await Promise.race([late, Promise.all(this.#lives.map(({ end }) => end))])
    over.abort()
    return { rounds: this.#rounds, symptoms: countCodes(this.#codes), unfinished: this.#living }
  }

  async #live(index: number, first: Gate): Promise<void> {
    this.#living += 1
    for (let round = index; !this.#isOver; round += 1) {
      await this.#visit(index, round)
      first.open()
      if (!this.#isOver) await pause(this.#seed.integer(pauseMs.min, pauseMs.max))
    }
    this.#living -= 1
  }

  async #visit(index: number, round: number): Promise<void> {
    const job = this.#jobs[round % this.#jobs.length] ?? strangerJob(ownQueue)
    const kind = kinds[round % kinds.length]
    const visit = { stage: this.#stage, job, index }
    try {
      await this.#stage.db.run(async () => void (await kind?.(visit)), { name: 'stranger' })
      this.#rounds += 1
    } catch (error) {
      this.#codes.push(codeOf(error))
    }
  }
}
