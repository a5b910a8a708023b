import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Seed, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import type { Crew, Member } from './crew.ts'
import type { Fault } from './fault.ts'
import { type History, type Row, readRows, rowsOf, type Span } from './history.ts'
import { openJobs, readRecords } from './lanes.ts'
import { type CallPlan, drawPlans, type Load, loadDefault } from './plan.ts'
import type { Serving } from './process/messages.ts'

const servingDefault: Serving = { slots: 10, stalled: {}, stopMs: 3000 }

/** How long after the last deadline a call is waited for before it counts as hanging. */
const hangMsMin = 10_000

/** How long jobs that nobody waits for any more may go on: until a lock of the product's defaults has ended, and some. */
const drainMsMax = 45_000

export interface RoundOptions {
  readonly fault: Fault
  readonly seed: Seed
  readonly isWhole: boolean
}

/** One fault, one seed: calls over a key prefix of their own, and everything that is seen of them. */
export class Round {
  readonly crew: Crew
  readonly seed: Seed
  readonly prefix = `chaos-${randomUUID()}`
  readonly load: Load
  /** The rig's own connection, past all proxies. */
  redis: Redis
  readonly plans: CallPlan[]
  readonly #fault: Fault
  readonly #serving: Serving
  readonly #file: string
  readonly #outages: Span[] = []
  readonly #killed = new Map<number, number>()
  readonly #cleanups: (() => Promise<unknown>)[] = []
  #struck = 0

  constructor(crew: Crew, { fault, seed, isWhole }: RoundOptions) {
    this.crew = crew
    this.seed = seed
    this.#fault = fault
    this.load = { ...loadDefault, ...fault.load }
    this.plans = drawPlans(seed, this.load)
    this.#serving = { ...servingDefault, ...fault.serving?.(isWhole) }
    this.#file = join(tmpdir(), `${this.prefix}.ndjson`)
    this.redis = this.connect(crew.redis.url)
  }

  /** Runs it to the end, whatever the calls do. @throws when the rig itself cannot go on */
  async run(): Promise<History> {
    const { caller } = this.crew
    await writeFile(this.#file, '')
    await this.#empty()
    await Promise.all([this.open(caller), this.#fault.opensWorkers === false ? undefined : this.openWorkers()])
    await this.#fault.prepare?.(this)
    caller.call(this.plans)
    await this.#fault.strike(this)
    await this.#untilEnded()
    await this.#drain()
    return this.#gather()
  }

  /** What earlier rounds left would be loaded again by a server that restarts: after 250 of them that took 6 s. */
  async #empty(): Promise<void> {
    await this.redis.flushall()
    const isRewriting = async () => /aof_rewrite_(in_progress|scheduled):1/.test(await this.redis.info('persistence'))
    await this.until(async () => !(await isRewriting()), 'no rewrite of the log to be under way')
    await this.redis.bgrewriteaof()
    await this.until(async () => !(await isRewriting()), 'the log to be rewritten')
  }

  async open(member: Member): Promise<void> {
    await member.open({ prefix: this.prefix, history: this.#file }, this.#serving)
  }

  async openWorkers(): Promise<void> {
    await Promise.all(this.crew.workers.map(worker => this.open(worker)))
  }

  /** Everything that has happened so far. */
  get rows(): readonly Row[] {
    return readRows(this.#file)
  }

  /** Resolves once so many handlers have begun: calls are under way. */
  async untilBegun(count: number): Promise<void> {
    await this.until(() => rowsOf(this.rows, 'begun').length >= count, `${count} handlers to begin`)
  }

  /** The calls that a process runs now, as far as the history tells. */
  running({ process: { pid } }: Member): string[] {
    const mine = this.rows.filter(row => row.pid === pid)
    const done = new Set(rowsOf(mine, 'applied').map(({ id }) => id))
    return rowsOf(mine, 'begun').flatMap(({ id }) => (done.has(id) ? [] : [id]))
  }

  async until<T>(condition: () => T | Promise<T>, message: string, deadlineMs = 20_000): Promise<T> {
    return await until(condition, { deadlineMs, message })
  }

  /** A drawn length of time, in which the fault lasts. */
  async lasts(min: number, max: number): Promise<void> {
    await sleep(this.seed.integer(min, max))
  }

  /** That the fault took place, and how often: a round in which it did not proves nothing. */
  struck(times = 1): void {
    this.#struck += times
  }

  get times(): number {
    return this.#struck
  }

  /** From now on Redis cannot be asked; call the result when it can, with what it takes until everybody has noticed. */
  outage(): (noticeMs: number) => void {
    const from = Date.now()
    return noticeMs => {
      this.#outages.push({ from, to: Date.now() + noticeMs })
    }
  }

  async kill(member: Member): Promise<void> {
    this.#killed.set(member.process.pid, Date.now())
    await member.kill()
  }

  /** A connection that goes on trying while its server is away; closed with the round. */
  connect(url: string): Redis {
    const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    redis.on('error', () => {})
    this.onEnd(async () => redis.disconnect())
    return redis
  }

  onEnd(cleanup: () => Promise<unknown>): void {
    this.#cleanups.unshift(cleanup)
  }

  /** Ends the round in all processes. @throws when one cannot end it in time */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.crew.members.map(member => member.close()))
    for (const cleanup of this.#cleanups) await cleanup()
    await rm(this.#file, { force: true })
    for (const each of closed) if (each.status === 'rejected') throw each.reason
  }

  /** A call that does not end is left to the checker to tell. */
  async #untilEnded(): Promise<void> {
    const deadlineMs = Math.max(...this.plans.map(plan => plan.atMs + plan.deadlineMs)) + hangMsMin
    const haveEnded = () => {
      const { rows } = this
      const ended = new Set(rowsOf(rows, 'ended').map(({ id }) => id))
      const sent = rowsOf(rows, 'sent')
      const ids = new Set(sent.map(({ id }) => id))
      const open = sent.filter(({ id, pid }) => !ended.has(id) && !this.#killed.has(pid))
      const unsent = this.plans.filter(({ id }) => !ids.has(id))
      return open.length === 0 && unsent.length === 0
    }
    await this.until(haveEnded, 'all calls to end', deadlineMs).catch(() => {})
  }

  /** What nobody waits for any more may still be applied, and must be seen. @throws where jobs stay behind */
  async #drain(): Promise<void> {
    let open: string[] = []
    const isDrained = async () => {
      open = await openJobs(this.redis, this.prefix)
      return open.length === 0
    }
    await this.until(isDrained, 'all jobs to end', drainMsMax).catch(cause => {
      throw new Error(`Jobs stayed behind: ${open.join(', ')}`, { cause })
    })
  }

  async #gather(): Promise<History> {
    const records = await readRecords(this.redis, this.prefix)
    const { call = [], nested = call } = this.#fault.explains ?? {}
    const explains = { call, nested }
    return { rows: this.rows, records, outages: this.#outages, killed: this.#killed, explains }
  }
}
