import { setTimeout as sleep } from 'node:timers/promises'
import { StrataError } from '@strata/db-context'
import type { Queues } from '@strata/queue'
import type { HistoryFile } from '../history.ts'
import { type CallPlan, expectedCodes } from '../plan.ts'
import type { WorkJob } from '../work.ts'
import { RunningClock } from './running-clock.ts'

/** Makes the calls of one process and writes down how each of them ended. */
export class Calls {
  readonly #clock = new RunningClock()
  readonly #queues: Queues
  readonly #job: WorkJob
  readonly #history: HistoryFile

  constructor({ queues, job, history }: { queues: Queues; job: WorkJob; history: HistoryFile }) {
    this.#queues = queues
    this.#job = job
    this.#history = history
  }

  /** Makes a call when its time has come. @throws what the call ended with */
  async make(plan: CallPlan, isNested: boolean): Promise<void> {
    if (plan.atMs > 0) await sleep(plan.atMs)
    const { id, deadlineMs, removeOnComplete, bytes } = plan
    const sent = { id, deadlineMs, bytes, isNested, pid: process.pid, at: Date.now(), expects: expectedCodes(plan) }
    this.#history.write({ row: 'sent', ...sent })
    const begun = this.#clock.now()
    const end = (how: object) => {
      const ranMs = this.#clock.now() - begun
      this.#history.write({ row: 'ended', id, pid: process.pid, at: Date.now(), ranMs, ...how })
    }
    const removal = removeOnComplete ? { removeOnComplete: true, removeOnFail: true } : {}
    try {
      const { stamp, text } = await this.#queues.pushAsync(this.#job, plan, { deadlineMs, ...removal })
      end({ stamp, bytes: text.length })
    } catch (error) {
      end(error instanceof StrataError ? { code: error.code, outcome: error.outcome } : { code: String(error) })
      throw error
    }
  }
}
