import type { Redis } from 'ioredis'
import type { Call } from './call.ts'
import { cancelJob, type Look, lookUp } from './cancel.ts'
import type { RedisClock } from './clock.ts'
import type { Keys } from './keys.ts'
import { isProcessAlive, readLaneSlots } from './presence.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'

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
  readonly report: Report
}

/** Looks at the records of calls that wait for long: for a reply that was lost, and for a lane that nobody serves. */
export class CallWatch {
  readonly #options: CallWatchOptions
  /** From when on a lane that nobody is said to serve is not served, on `performance.now()`. */
  #trustFrom = Number.NEGATIVE_INFINITY

  constructor(options: CallWatchOptions) {
    this.#options = options
  }

  /** To be called when Redis has been away: who serves what is known again only after a while. */
  doubt(): void {
    this.#trustFrom = performance.now() + registryMs
  }

  /** Looks at the calls that are due; to be called every half second. */
  async sweep(): Promise<void> {
    const { redis, keys, calls } = this.#options
    const now = performance.now()
    const due: Call[] = []
    for (const call of calls()) if (call.lookAt <= now && due.length < lookBatch) due.push(call)
    if (due.length === 0) return
    for (const call of due) {
      call.looks += 1
      call.lookAt = now + Math.min(lookMsFirst * 1.5 ** call.looks, lookMsMax)
    }
    const looks = await lookUp(redis, keys, due)
    const waiting = due.filter((call, index) => this.#isWaiting(call, looks[index]))
    if (waiting.length > 0) await this.#findUnserved(waiting)
  }

  /** Ends the call if its job has ended; true when no worker has taken the job. A missing record is looked for twice. */
  #isWaiting(call: Call, look: Look | undefined): boolean {
    if (!look || look.end === 'open') return look?.isTaken === false
    if (look.end !== 'gone') call.deliver(look.end)
    else if (++call.missed === 1) call.lookAt = performance.now() + againMs
    else call.fail(resultLost(call))
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
    const removing = waiting.map(async call => {
      call.unserved = served.has(call.lane.name) ? 0 : call.unserved + 1
      if (call.unserved === 1) call.lookAt = performance.now() + againMs
      if (call.unserved < 2 || !call.isOpen) return
      if ((await cancelJob(redis, keys, { call, abort: false })) === 'removed') call.fail(laneUnserved(call))
    })
    await Promise.all(removing)
  }
}

function resultLost(call: Call) {
  const message = `Job ${call.jobId} of ${call.job.name} has neither a reply nor a record any more: ask the data`
  return queueError('RESULT_LOST', message, { details: { ...call.describe(), since: undefined } })
}

function laneUnserved(call: Call) {
  const waitedMs = Math.round(performance.now() - call.since)
  const message =
    `Call of ${call.job.name} (${call.jobId}) waited ${waitedMs} ms in lane ${call.lane.name}, which no live process serves: ` +
    `start a worker that handles it, with the same prefix, levels.max and isolation`
  return queueError('LANE_UNSERVED', message, { details: { ...call.describe(), since: undefined, waitedMs } })
}
