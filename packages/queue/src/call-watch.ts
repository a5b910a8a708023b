import type { Redis } from 'ioredis'
import type { Call } from './call.ts'
import { type Look, lookUp } from './cancel.ts'
import type { RedisClock } from './clock.ts'
import type { Keys } from './keys.ts'
import { isProcessAlive, readLaneSlots } from './presence.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'
import { removeUnserved } from './unserved.ts'

/** Each call is looked up after 2 s, then ever more rarely up to every 10 s. */
export const lookMsFirst = 2000
const lookMsMax = 10_000
const lookBatch = 500

/** A look that found something amiss is made again after this: a reply, or a worker, may be on its way. */
const againMs = 500

/** Every process says within 5 s that it is there: where Redis was away, or has lost its data, its silence means nothing before. */
const registryMs = 6000

export interface CallWatchOptions {
  /** Of this process, by which it knows its own entry among the live processes. */
  readonly id: string
  readonly redis: Redis
  readonly keys: Keys
  readonly clock: RedisClock
  readonly calls: () => Iterable<Call>
  /** Delivers the replies that have come and were not read yet. */
  readonly catchUp: () => Promise<void>
  /** Marks a call whose job's record may have been lost, and written anew, since it was sent. */
  readonly meetServer: (call: Call) => Promise<void>
  readonly report: Report
}

/** Looks at the records of calls that wait for long: for a reply that was lost, and for a lane that nobody serves. */
export class CallWatch {
  readonly #options: CallWatchOptions
  /** From when on a lane that nobody is said to serve is not served, on `performance.now()`. */
  #trustFrom = Number.NEGATIVE_INFINITY
  #sweeping: Promise<void> | undefined

  constructor(options: CallWatchOptions) {
    this.#options = options
  }

  /** To be called when Redis has been away: who serves what is known again only after a while. */
  doubt(): void {
    this.#trustFrom = performance.now() + registryMs
  }

  /** Looks at the calls that are due, batch by batch; to be called every half second. One sweep at a time: others join it. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined
    })
    return this.#sweeping
  }

  async #sweep(): Promise<void> {
    const now = performance.now()
    const due = [...this.#options.calls()].filter(({ lookAt }) => lookAt <= now)
    for (let at = 0; at < due.length; at += lookBatch) {
      await this.#look(due.slice(at, at + lookBatch).filter(({ isOpen }) => isOpen))
    }
  }

  async #look(due: readonly Call[]): Promise<void> {
    const { redis, keys } = this.#options
    const now = performance.now()
    for (const call of due) {
      call.looks += 1
      call.lookAt = now + Math.min(lookMsFirst * 1.5 ** call.looks, lookMsMax)
    }
    const looks = await lookUp(redis, keys, due)
    const waiting = due.filter((call, index) => this.#isWaiting(call, looks[index]))
    await this.#failLost(due.filter(({ isOpen, missed }) => isOpen && missed > 1))
    if (waiting.length > 0) await this.#findUnserved(waiting)
  }

  /** Replies outlive records that are not kept: one that came and was not read, its reader's connection being dead, is the end. */
  async #failLost(missed: readonly Call[]): Promise<void> {
    if (missed.length === 0) return
    await this.#options.catchUp()
    for (const call of missed) call.fail(resultLost(call))
  }

  /** Ends the call if its job has ended; true when no worker has taken the job. A missing record is looked for twice. */
  #isWaiting(call: Call, look: Look | undefined): boolean {
    if (!look || look.end === 'open') return look?.isTaken === false
    if (look.end !== 'gone') call.deliver(look.end)
    else if (++call.missed === 1) call.lookAt = performance.now() + againMs
    return false
  }

  async #findUnserved(waiting: readonly Call[]): Promise<void> {
    const { redis, keys, id, clock } = this.#options
    const now = clock.now()
    const [served, isKnown] = await Promise.all([
      readLaneSlots(redis, { keys, now }),
      isProcessAlive(redis, { keys, id, now }),
    ])
    if (!isKnown) this.doubt()
    if (performance.now() < this.#trustFrom) {
      for (const call of waiting) call.lookAt = Math.max(this.#trustFrom, performance.now() + againMs)
      return
    }
    await Promise.all(waiting.map(call => this.#judge(call, served.has(call.lane.name))))
  }

  async #judge(call: Call, isServed: boolean): Promise<void> {
    const from = call.since + lookMsFirst
    if (!isServed && performance.now() < from) {
      call.lookAt = from
      return
    }
    call.unserved = isServed ? 0 : call.unserved + 1
    if (call.unserved === 1) call.lookAt = performance.now() + againMs
    if (call.unserved < 2 || !call.isOpen) return
    const { redis, keys, meetServer } = this.#options
    if (!(await removeUnserved(redis, keys, { call, error: laneUnserved(call) }))) return
    await meetServer(call)
    call.fail(laneUnserved(call))
  }
}

export function resultLost(call: Call) {
  const message = `Job ${call.jobId} of ${call.job.name} has neither a reply nor a record any more: ask the data`
  return queueError('RESULT_LOST', message, { details: { ...call.describe(), since: undefined } })
}

function laneUnserved(call: Call) {
  const waitedMs = Math.round(performance.now() - call.since)
  const message =
    `Call of ${call.job.name} (${call.jobId}) waited ${waitedMs} ms in lane ${call.lane.name}, which no live process serves: ` +
    `start a worker that handles it, with the same prefix, levels.max and isolation`
  const details = { ...call.describe(), since: undefined, waitedMs }
  return queueError('LANE_UNSERVED', message, { ...(call.isDoubtful ? { outcome: 'unknown' } : {}), details })
}
